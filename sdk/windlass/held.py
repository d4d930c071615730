"""Owns an async context manager that lives in an asyncio task of its own.

Task groups, timeouts and cancel scopes have to be left in the task that entered them. Who opens a
lifespan, or a dependency for a thread, is seldom who closes it: so neither is asked to be.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


class Held(Generic[T]):
    """One context manager, from `open` to `close`. Both run on one loop, in any of its tasks."""

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        """Enter nothing yet."""
        self._manager = manager
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def open(self) -> T:
        """Enter it, and give what it gives. Raises what it raises."""
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[T] = loop.create_future()
        self._end: asyncio.Future[BaseException | None] = loop.create_future()
        self._task = task = loop.create_task(self._hold())
        try:
            both: set[asyncio.Future[Any]] = {task, self._opened}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if task.done():
            task.result()
            self._raise_failure()
        return self._opened.result()

    def give_up(self) -> None:
        """Break off an `open` that is under way, on the loop; it raises CancelledError."""
        if self._task is not None and not self._opened.done():
            self._task.cancel()

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have `call` called on the loop once it has been left, whyever."""
        if self._task is not None:
            self._task.add_done_callback(lambda _: call())

    async def close(self, error: BaseException | None = None) -> None:
        """Leave it, with `error` if there is one. Raises what it raises, mostly `error` itself. Repeatable."""
        if self._task is None:
            return
        self.give_up()  # where `open` was left behind
        if not self._end.done():
            self._end.set_result(error)
        await asyncio.wait({self._task})
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _hold(self) -> None:
        try:
            async with self._manager as value:
                self._opened.set_result(value)
                if (error := await self._end) is not None:
                    raise error  # noqa: TRY301 - into the manager
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - open and close raise it; a SystemExit would end the loop
            self._failure = error
