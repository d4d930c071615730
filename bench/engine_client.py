# ruff: noqa: D102 - bench.client says what these do
"""Our client, in the documented form for each kind of load."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bench.engine_tasks import Application, Photo
from bench.payload import make_input

if TYPE_CHECKING:
    from windlass import TaskRunRef
    from windlass.model_task import ModelTask

# Coroutines that submit one task after another, each waiting for its result.
_CALLERS = 1_000
_CHUNK = 1_000


class EngineClient:
    """`run_many` for many, `aio_run` for single ones, `delay` from sync code."""

    def __init__(self, api_address: str, task: str) -> None:
        self._application = Application(api_address)
        self._noop: ModelTask[Photo, dict[str, Any]] = getattr(self._application, task)
        self._loop = asyncio.new_event_loop()
        self._refs: list[TaskRunRef[dict[str, Any]]] = []

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        item = self._noop.create_bulk_run_item
        return list(self._noop.run_many([item(Photo(**task_input)) for task_input in inputs]))

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        async def call_all() -> list[Any]:
            outputs: list[Any] = [None] * len(inputs)
            waiting = iter(enumerate(inputs))

            async def caller() -> None:
                for index, task_input in waiting:
                    outputs[index] = await self._noop.aio_run(Photo(**task_input))

            await asyncio.gather(*(caller() for _ in range(min(_CALLERS, len(inputs)))))
            return outputs

        return self._loop.run_until_complete(call_all())

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        self._refs = [self._noop.delay(Photo(**task_input)) for task_input in inputs]

    def submit_batch(self, inputs: list[dict[str, Any]]) -> None:
        with self._application.app.batch():
            self.submit(inputs)

    def settle(self) -> list[Any]:
        return self._loop.run_until_complete(self._results())

    async def _results(self) -> list[Any]:
        return list(await asyncio.gather(*(ref.aio_result() for ref in self._refs)))

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        return self._noop.run(Photo(**task_input))

    def park(self, count: int, task: str, keep: int) -> None:
        """Submit without waiting; keep references to the first `keep`."""
        chosen = self._application.parked if task == "parked" else self._noop
        self._refs = []
        for start in range(0, count, _CHUNK):
            indexes = range(start, min(start + _CHUNK, count))
            items = [chosen.create_bulk_run_item(Photo(**make_input(index))) for index in indexes]
            refs = chosen.run_many(items, wait_for_result=False)
            if len(self._refs) < keep:
                self._refs += refs

    def drain(self, skipped: int) -> float:
        """Wait for the runs kept; results per second, the first `skipped` being the start."""
        times: list[float] = []

        async def wait(ref: TaskRunRef[dict[str, Any]]) -> None:
            await ref.aio_result()
            times.append(time.perf_counter())

        async def wait_for_all() -> None:
            await asyncio.gather(*(wait(ref) for ref in self._refs))

        self._loop.run_until_complete(wait_for_all())
        return (len(times) - skipped) / (times[-1] - times[skipped - 1])

    def count_workers(self) -> int:
        return len(self._application.app.workers.list())
