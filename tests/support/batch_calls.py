"""Owns a batch function that notes its calls, and runs of it to wait for."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from windlass.worker.outcome import Completion

if TYPE_CHECKING:
    from tests.support.attempts import Attempts
    from windlass import Windlass
    from windlass.v1 import dispatch_pb2


class Calls:
    """A batch function that notes its calls, and waits until it is let go on."""

    def __init__(self, app: Windlass, how: str, **options: Any) -> None:
        self.inputs: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self._go_on = threading.Event()
        self._aio_go_on = asyncio.Event()
        self.ended = threading.Event()

        def double(numbers: list[int]) -> list[int]:
            self.inputs.append(numbers)
            self.begun.release()
            try:
                while not self._go_on.wait(0.01):
                    pass
            finally:
                self.ended.set()
            return [2 * number for number in numbers]

        async def aio_double(numbers: list[int]) -> list[int]:
            self.inputs.append(numbers)
            self.begun.release()
            try:
                await self._aio_go_on.wait()
            finally:
                self.ended.set()
            return [2 * number for number in numbers]

        app.batch_task(name="double", **options)(double if how == "sync" else aio_double)

    def go_on(self) -> None:
        """Let this call, and all further ones, return."""
        self._go_on.set()
        self._aio_go_on.set()

    async def wait_begun(self) -> None:
        """Wait until one more call has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=10)


def started(attempts: Attempts, *numbers: int) -> list[dispatch_pb2.Assignment]:
    """Start a run of `double` for each number."""
    return [attempts.start("double", str(number).encode()) for number in numbers]


async def outputs(attempts: Attempts, works: list[dispatch_pb2.Assignment]) -> list[Any]:
    """Wait for the outputs of these, or the types of their errors."""
    outcomes = [await attempts.outcome(work) for work in works]
    return [json.loads(each.output_json) if isinstance(each, Completion) else each.failure.type for each in outcomes]


both = pytest.mark.parametrize("how", ["async", "sync"])


class Order(BaseModel):
    """An input."""

    shop: str
    number: int
