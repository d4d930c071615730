# ruff: noqa: D102, D103 - bench.client and bench.system say what these do
# mypy: disable-error-code="import-not-found"
"""dramatiq with its Redis broker and result backend: 2 processes of 8 threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bench.system import System

if TYPE_CHECKING:
    from bench.client import Client

SYSTEMS = (
    System(
        key="dramatiq",
        title="dramatiq 2×8",
        module="dramatiq",
        requirements=("dramatiq[redis]==2.2.1", "redis==8.1.0", "hiredis==3.5.0"),
        shown=("dramatiq",),
        options={"processes": 2, "threads": 8},
    ),
)
_URL = "BENCH_DRAMATIQ_URL"
_RESULT_TIMEOUT_MS = 60_000


def _make_actor(url: str) -> Any:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=url)
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
    dramatiq.set_broker(broker)

    def noop(payload: dict[str, Any]) -> dict[str, Any]:
        return {"id": payload["id"], "ok": True}

    return dramatiq.actor(actor_name="noop", store_results=True, broker=broker)(noop)


def set_up_broker() -> None:
    """Called by dramatiq's own command in each of its processes."""
    _make_actor(os.environ[_URL])


def run_worker(url: str, processes: int, threads: int) -> None:
    from dramatiq.cli import main, make_argument_parser

    os.environ[_URL] = url
    arguments = ["bench.systems.dramatiq:set_up_broker", "--processes", str(processes)]
    main(make_argument_parser().parse_args([*arguments, "--threads", str(threads)]))


class DramatiqClient:
    """`group` for many, `send` and `get_result` for one."""

    def __init__(self, url: str) -> None:
        self._actor = _make_actor(url)
        self._handles: list[Any] = []

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        from dramatiq import group

        running = group(self._actor.message(task_input) for task_input in inputs).run()
        return list(running.get_results(block=True, timeout=_RESULT_TIMEOUT_MS))

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        self.submit(inputs)
        return self.settle()

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        send = self._actor.send
        self._handles = [send(task_input) for task_input in inputs]

    def settle(self) -> list[Any]:
        return [handle.get_result(block=True, timeout=_RESULT_TIMEOUT_MS) for handle in self._handles]

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        return self._actor.send(task_input).get_result(block=True, timeout=_RESULT_TIMEOUT_MS)


def open_client(url: str, processes: int, threads: int) -> Client:
    del processes, threads
    return DramatiqClient(url)
