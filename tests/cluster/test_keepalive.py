"""Connections that idle behind a NAT, and connections that go deaf."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tcp_proxy import TcpProxy
from tests.support.until import until
from tests.support.worker_thread import running_worker
from windlass import ClientConfig, Windlass
from windlass_core.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A NAT forgets a connection that has been silent for so long: less than a heartbeat's time.
FORGETS_AFTER = 3.0
_QUICK = {"WINDLASS_KEEPALIVE_INTERVAL": "1", "WINDLASS_KEEPALIVE_TIMEOUT": "1"}


class Site:
    """A client and a worker behind a NAT, the engine before it, and a task that runs until it is told."""

    def __init__(self, cluster: LocalCluster, to_api: TcpProxy, to_dispatcher: TcpProxy, app: Windlass) -> None:
        self.cluster = cluster
        self.to_api = to_api
        self.to_dispatcher = to_dispatcher
        self.app = app
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.executed = 0

        @app.task
        def held(number: int) -> int:
            self.executed += 1
            self.begun.set()
            self.go_on.wait(60)
            return number

        self.held: Any = held


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Give one whose keepalive interval, in seconds, is the parameter."""
    interval, forget_after = request.param
    with ExitStack() as stack:
        settings = {**_QUICK, "WINDLASS_KEEPALIVE_INTERVAL": str(interval)}
        cluster = stack.enter_context(LocalCluster(settings=settings))
        (dispatcher,) = cluster.processes("dispatcher")
        to_api = stack.enter_context(TcpProxy(cluster.api_address, forget_after))
        to_dispatcher = stack.enter_context(TcpProxy(f"127.0.0.1:{dispatcher.ports['grpc']}", forget_after))
        config = ClientConfig(
            api_address=to_api.address,
            dispatcher_address=to_dispatcher.address,
            token=None,
            keepalive_interval=interval,
            keepalive_timeout=1,
        )
        app = stack.enter_context(Windlass(config=config))
        yield Site(cluster, to_api, to_dispatcher, app)


@pytest.mark.parametrize("site", [(1, FORGETS_AFTER)], indirect=True)
def test_idle_connections_outlive_what_a_nat_remembers(site: Site) -> None:
    """The session that waits, and the worker between its heartbeats: neither connects anew."""
    with running_worker(site.app):
        waiting = site.held.delay(7)
        assert site.begun.wait(30)
        made = site.to_dispatcher.connections
        passed = site.to_dispatcher.passed, site.to_api.passed
        until(lambda: site.to_dispatcher.passed > passed[0] + 20, "the worker's connection lives")
        site.go_on.set()
        assert waiting.result(timeout=30) == 7
        assert (site.to_dispatcher.connections, site.to_dispatcher.forgotten, site.to_api.forgotten) == (made, 0, 0)
    assert site.executed == 1


@pytest.mark.parametrize("site", [(600, FORGETS_AFTER)], indirect=True)
def test_without_keepalive_a_nat_forgets(site: Site) -> None:
    """Negative control. The worker finds it out by its heartbeats, and nothing is run again; the caller never does."""
    with running_worker(site.app):
        run = site.held.delay(7)
        assert site.begun.wait(30)
        until(lambda: site.to_dispatcher.forgotten > 0, "it is forgotten")
        site.go_on.set()
        with Windlass(config=ClientConfig(api_address=site.cluster.api_address, token=None)) as other:
            until(lambda: other.runs.get(run.id).status == "COMPLETED", "the worker has connected again")
    assert site.executed == 1


@pytest.mark.parametrize("site", [(1, None)], indirect=True)
def test_a_connection_that_goes_deaf_is_noticed_by_both_ends(site: Site) -> None:
    """Within the interval and the timeout; when the way is clear again all goes on, and once."""
    with running_worker(site.app):
        waiting = site.held.delay(7)
        assert site.begun.wait(30)
        made = site.to_dispatcher.connections
        site.to_dispatcher.withhold_answers()
        direct = ClientConfig(api_address=site.cluster.api_address, token=None)
        with Windlass(config=direct) as other:
            until(lambda: other.workers.list()[0].status == "DISCONNECTED", "the dispatcher has noticed", 10)
        until(lambda: site.to_dispatcher.connections > made, "the worker has noticed", 10)
        site.to_dispatcher.pass_answers()
        site.go_on.set()
        assert waiting.result(timeout=30) == 7
    assert site.executed == 1
