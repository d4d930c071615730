"""Owns an event loop in a thread of its own: what goes on while the test's own thread waits and kills."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future
    from types import TracebackType

T = TypeVar("T")

_END_SECONDS = 15.0


class LoopThread:
    """A running loop for the length of a `with`; what is still going on at its end is cancelled."""

    def __init__(self) -> None:
        """Prepare; `with` starts it."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run(self._cancel_all()).result(_END_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start it on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def _cancel_all(self) -> None:
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)
