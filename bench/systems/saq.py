# ruff: noqa: D102, D103 - bench.client and bench.system say what these do
# mypy: disable-error-code="import-not-found"
"""saq on Redis: 2 worker processes of 10 jobs at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bench.system import System

if TYPE_CHECKING:
    from saq import Job, Queue

    from bench.client import Client

_PROCESSES = 2
SYSTEMS = (
    System(
        key="saq",
        title="saq 2×10",
        module="saq",
        # It imports typing_extensions without requiring it.
        requirements=(
            "saq[redis,hiredis]==0.26.4",
            "redis==7.4.1",
            "hiredis==3.5.0",
            "typing-extensions==4.16.0",
        ),
        shown=("saq",),
        worker_processes=_PROCESSES,
        options={"concurrency": 10},
    ),
)
_CHUNK = 500
_POLL_SECONDS = 0.01


async def noop(_context: dict[str, Any], *, payload: dict[str, Any]) -> dict[str, Any]:
    return {"id": payload["id"], "ok": True}


def run_worker(url: str, concurrency: int) -> None:
    from saq import Queue, Worker

    async def serve() -> None:
        queue = Queue.from_url(url)
        await queue.connect()
        await Worker(queue, [noop], concurrency=concurrency).start()

    asyncio.run(serve())


class SaqClient:
    """Gathered `enqueue`s; results read many at a time, in the order of the submits.

    Its own `apply` looks for the result every 0.5 s; here it looks without a pause for one, which
    is its best latency, and every 10 ms for many.
    """

    def __init__(self, url: str) -> None:
        from saq import Queue

        self._loop = asyncio.new_event_loop()
        self._queue: Queue = Queue.from_url(url)
        self._loop.run_until_complete(self._queue.connect())
        self._keys: list[str] = []

    def wait_for_workers(self, count: int, patience_seconds: float = 20.0) -> None:
        """Return when that many workers have announced themselves."""

        async def wait() -> None:
            while len((await self._queue.info())["workers"]) < count:  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.05)

        self._loop.run_until_complete(asyncio.wait_for(wait(), patience_seconds))

    async def _enqueue(self, task_input: dict[str, Any]) -> str:
        job = await self._queue.enqueue("noop", payload=task_input, timeout=60)
        if job is None:
            raise RuntimeError("the job was there already")
        return str(job.key)

    async def _outputs(self, keys: list[str]) -> list[Any]:
        outputs: list[Any] = []
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            jobs = await self._queue.jobs(chunk)
            while not all(_is_complete(job) for job in jobs):
                await asyncio.sleep(_POLL_SECONDS)
                jobs = await self._queue.jobs(chunk)
            outputs += [job.result for job in jobs if job is not None]
        return outputs

    async def _bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        keys = await asyncio.gather(*(self._enqueue(task_input) for task_input in inputs))
        return await self._outputs(list(keys))

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        return self._loop.run_until_complete(self._bulk(inputs))

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        return self.bulk(inputs)

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        async def one_by_one() -> list[str]:
            return [await self._enqueue(task_input) for task_input in inputs]

        self._keys = self._loop.run_until_complete(one_by_one())

    def settle(self) -> list[Any]:
        return self._loop.run_until_complete(self._outputs(self._keys))

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        return self._loop.run_until_complete(self._queue.apply("noop", payload=task_input, poll_interval=0, timeout=60))


def _is_complete(job: Job | None) -> bool:
    if job is not None and job.status in {"failed", "aborted"}:
        raise RuntimeError(f"the job ended {job.status}: {job.error}")
    return job is not None and job.status == "complete"


def open_client(url: str, concurrency: int) -> Client:
    del concurrency
    client = SaqClient(url)
    # The first sweep of a worker aborts jobs that have just been taken: let it be over.
    client.wait_for_workers(_PROCESSES)
    return client
