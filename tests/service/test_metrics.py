"""What the services measure, as `/metrics` shows it, and who may see it."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.until import until
from tests.support.worker_thread import running_worker
from windlass import ClientConfig, Context, RetryPolicy, Windlass
from windlass.exceptions import TaskRunError
from windlass_core.domain.address import is_local
from windlass_core.http_door import MetricsGuard
from windlass_core.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from windlass_core.store.processes import ServiceName


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Give a cluster of their own: counts begin at 0."""
    with LocalCluster() as running:
        yield running


def _metrics(cluster: LocalCluster, service: ServiceName) -> dict[str, Metric]:
    url = f"http://127.0.0.1:{cluster.processes(service)[0].ports['http']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def _value(metric: Metric, suffix: str = "", **labels: str) -> float:
    """The sum over all samples with these labels."""
    return sum(
        sample.value
        for sample in metric.samples
        if sample.name == metric.name + suffix and labels.items() <= sample.labels.items()
    )


def test_what_runs_do_is_counted(cluster: LocalCluster) -> None:
    """Accepted by the api, ended by a dispatcher; one ends well, one is tried again and fails."""
    app = Windlass(config=ClientConfig(api_address=cluster.api_address))

    @app.task(name="fine")
    def fine() -> None:
        pass

    @app.task(name="bad", retry=RetryPolicy(max_attempts=2, initial_interval=0.001))
    def bad(ctx: Context) -> None:
        raise ValueError(ctx.attempt_number)

    with app, running_worker(app):
        fine.run()
        with pytest.raises(TaskRunError):
            bad.run()
        dispatcher = _metrics(cluster, "dispatcher")
        attempts = dispatcher["windlass_attempts"]
        assert _value(attempts, "_total", workflow="fine", outcome="completed") == 1
        assert _value(attempts, "_total", workflow="bad", outcome="retried") == 1
        assert _value(attempts, "_total", workflow="bad", outcome="failed") == 1
        runs = dispatcher["windlass_run_duration_seconds"]
        assert _value(runs, "_count", workflow="fine", outcome="completed") == 1
        assert _value(runs, "_count", workflow="bad", outcome="failed") == 1
        assert 0 < _value(runs, "_sum", workflow="fine") < 60
        assert _value(dispatcher["windlass_streams"], service="dispatcher") == 1
        assert _value(dispatcher["windlass_script_duration_seconds"], "_count", script="run_complete") >= 1
        api = _metrics(cluster, "api")
        assert _value(api["windlass_runs_submitted"], "_total") == 2
        assert _value(api["windlass_streams"], service="api") == 1


def test_what_waits_and_what_room_there_is_is_told_by_the_owner_of_the_shard(cluster: LocalCluster) -> None:
    """Read from the store when asked for; the other services leave it out."""
    app = Windlass(config=ClientConfig(api_address=cluster.api_address))

    @app.task(name="waiting")
    def waiting() -> None:
        pass

    with app:
        for _ in range(3):
            waiting.delay()
        labels = {"namespace": "default", "queue": "default", "workflow": "waiting"}
        until(
            lambda: _value(_metrics(cluster, "scheduler")["windlass_queue_depth"], **labels) == 3,
            "the scheduler owns the shard, and tells of it",
        )
        scheduler = _metrics(cluster, "scheduler")
        assert _value(scheduler["windlass_queue_oldest_seconds"], **labels) > 0
        assert _value(scheduler["windlass_store_memory_bytes"], kind="used") > 100_000
        with running_worker(app, slots=7):
            until(
                lambda: (
                    _value(_metrics(cluster, "scheduler")["windlass_slots"], state="free") == 7
                    and _value(_metrics(cluster, "scheduler")["windlass_queue_depth"], **labels) == 0
                ),
                "the worker has done it all",
            )
            assert _value(_metrics(cluster, "scheduler")["windlass_workers"]) == 1
    assert not _metrics(cluster, "api")["windlass_queue_depth"].samples


def test_metrics_need_their_token_where_there_is_one() -> None:
    """As a bearer token."""
    with LocalCluster(dispatchers=0, schedulers=0, settings={"WINDLASS_METRICS_TOKEN": "secret"}) as cluster:
        url = f"http://{cluster.http_address}/metrics"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(url, timeout=30)
        with raised.value as refusal:
            assert (refusal.code, "WINDLASS_METRICS_TOKEN" in refusal.read().decode()) == (401, True)
        request = urllib.request.Request(url, headers={"Authorization": "Bearer secret"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            assert answer.status == 200


@pytest.mark.parametrize(
    ("listen", "token", "status"),
    [("127.0.0.1:0", None, None), ("[::1]:0", None, None), ("0.0.0.0:8080", None, 403), ("10.1.2.3:8080", None, 403)],
)
def test_without_a_token_only_this_machine_sees_them(listen: str, token: None, status: int | None) -> None:
    """It is said what to set."""
    refusal = MetricsGuard(listen, token).refusal(None)  # type: ignore[arg-type]  # not looked at
    assert (refusal.status_code if refusal else None) == status


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("[::1]", True), ("0.0.0.0", False), ("", False), ("api", False)],  # noqa: S104
)
def test_what_counts_as_this_machine(host: str, local: bool) -> None:
    """A name that might be anything does not."""
    assert is_local(f"{host}:8080") is local
