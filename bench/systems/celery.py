# ruff: noqa: D102, D103 - bench.client and bench.system say what these do
# mypy: disable-error-code="import-not-found"
"""Celery with its Redis broker and result backend: prefork and threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.system import System

if TYPE_CHECKING:
    from celery import Celery

    from bench.client import Client

_REQUIREMENTS = ("celery[redis]==5.7.0", "kombu==5.7.0", "redis==8.1.0", "hiredis==3.5.0")

SYSTEMS = (
    System(
        key="celery-prefork",
        title="Celery prefork 2",
        module="celery",
        requirements=_REQUIREMENTS,
        shown=("celery",),
        options={"pool": "prefork", "concurrency": 2},
    ),
    System(
        key="celery-threads",
        title="Celery threads 16",
        module="celery",
        requirements=_REQUIREMENTS,
        shown=("celery",),
        options={"pool": "threads", "concurrency": 16},
    ),
)


def _make_app(url: str) -> Celery:
    from celery import Celery

    app = Celery("bench", broker=url, backend=url)
    app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
    return app


def _make_task(app: Celery) -> Any:
    def noop(payload: dict[str, Any]) -> dict[str, Any]:
        return {"id": payload["id"], "ok": True}

    return app.task(name="noop")(noop)


def run_worker(url: str, pool: str, concurrency: int) -> None:
    app = _make_app(url)
    _make_task(app)
    # Without what one worker alone has no use for: that favours it, a little.
    flags = ["--without-gossip", "--without-mingle", "--loglevel=WARNING"]
    app.worker_main(["worker", f"--pool={pool}", f"--concurrency={concurrency}", *flags])


class CeleryClient:
    """`group` for many, `delay` and `get` for one."""

    def __init__(self, url: str) -> None:
        self._task = _make_task(_make_app(url))
        self._handles: list[Any] = []

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        from celery import group

        outputs: list[Any] = group(self._task.s(task_input) for task_input in inputs)().get()
        return outputs

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        self.submit(inputs)
        return self.settle()

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        delay = self._task.delay
        self._handles = [delay(task_input) for task_input in inputs]

    def settle(self) -> list[Any]:
        return [handle.get() for handle in self._handles]

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        return self._task.delay(task_input).get()


def open_client(url: str, pool: str, concurrency: int) -> Client:
    del pool, concurrency
    return CeleryClient(url)
