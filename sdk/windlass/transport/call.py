"""Owns the waiting of one caller, thread or coroutine, for a number of answers.

Answers come from the I/O thread; the caller is woken once, when the last one is there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from windlass.exceptions import WindlassError

if TYPE_CHECKING:
    from windlass.v1 import run_service_pb2, workflow_pb2

Answer = Any  # RunResult, None for an acknowledgement, or the WindlassError to raise


class Call:
    """So many answers to come, and who waits for them."""

    __slots__ = ("_fail_fast", "_finished", "_future", "_lock", "_loop", "abandoned", "answers", "remaining")

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop | None, *, fail_fast: bool = False) -> None:
        """Wait for `count` answers, on `loop` or, where it is None, in the thread that calls `wait`.

        With `fail_fast` the first error ends the waiting.
        """
        self.answers: list[Answer] = [None] * count
        self.remaining = count
        self.abandoned = False
        self._fail_fast = fail_fast
        self._finished = False
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._lock: threading.Lock | None = None
        if loop is None:
            self._lock = threading.Lock()
            self._lock.acquire()
        else:
            self._future = loop.create_future()

    def wait(self, timeout: float | None) -> bool:
        """Block until the answers are there; False when `timeout` seconds passed first."""
        assert self._lock is not None  # noqa: S101 - made so by its maker
        return self._lock.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))

    async def aio_wait(self, timeout: float | None) -> bool:
        """Do as `wait`, on the loop."""
        assert self._future is not None  # noqa: S101 - made so by its maker
        if timeout is None:
            await self._future
            return True
        try:
            async with asyncio.timeout(max(timeout, 0.0)):
                await self._future
        except TimeoutError:
            return False
        return True

    def answer(self, index: int, value: Answer, wakeups: Wakeups) -> None:
        """Take one answer. On the I/O thread."""
        self.answers[index] = value
        self.remaining -= 1
        if (self.remaining == 0 or (self._fail_fast and isinstance(value, WindlassError))) and not self._finished:
            self._finished = True
            if self._lock is not None:
                self._lock.release()
            elif self._loop is not None and self._future is not None:
                wakeups.add(self._loop, self._future)


class Pending:
    """One run that a caller waits for: to be accepted, or to end."""

    __slots__ = ("accepted", "answered", "call", "definition", "index", "run_id", "submission", "wants_result")

    def __init__(
        self,
        run_id: str,
        call: Call,
        index: int,
        *,
        submission: run_service_pb2.RunSubmission | None,
        definition: workflow_pb2.WorkflowDefinition | None,
        wants_result: bool,
    ) -> None:
        """Name the run and whose answer it is; without a submission it is only to be waited for."""
        self.run_id = run_id
        self.call = call
        self.index = index
        self.submission = submission
        self.definition = definition
        self.wants_result = wants_result
        self.accepted = submission is None
        self.answered = False

    def accept(self) -> None:
        """Take that the engine has it. On the I/O thread."""
        self.accepted = True

    def answer(self, value: Answer, wakeups: Wakeups) -> None:
        """Take what its caller waits for. On the I/O thread."""
        self.call.answer(self.index, value, wakeups)


class Wakeups:
    """Coroutines to wake: one hand-over per loop, however many there are."""

    __slots__ = ("_by_loop",)

    def __init__(self) -> None:
        """Begin with none."""
        self._by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}

    def add(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        """Remember one."""
        waiting = self._by_loop.get(loop)
        if waiting is None:
            self._by_loop[loop] = [future]
        else:
            waiting.append(future)

    def flush(self) -> None:
        """Wake them all."""
        if not self._by_loop:
            return
        by_loop, self._by_loop = self._by_loop, {}
        for loop, futures in by_loop.items():
            try:
                loop.call_soon_threadsafe(_wake, futures)
            except RuntimeError:  # the loop has been closed: nobody waits there any more
                continue


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


Later = Callable[[float, Callable[[], None]], object]
