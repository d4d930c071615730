"""Owns how an exception comes up inside a coroutine, at the await where it stands. Knows no time limits.

An asyncio task can be cancelled from outside, and nothing else. So it is cancelled, and whoever drives the
coroutine, between it and its asyncio task, throws another exception in where the cancelling comes by.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from windlass.exceptions import SoftTimeoutExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator


class _SoftTimeoutOnLoop(SoftTimeoutExceeded, asyncio.CancelledError):
    """What is thrown is a cancelling too: task groups, locks and timeouts then clean up as they do for one."""


_SoftTimeoutOnLoop.__name__ = _SoftTimeoutOnLoop.__qualname__ = SoftTimeoutExceeded.__name__
_SoftTimeoutOnLoop.__module__ = SoftTimeoutExceeded.__module__


class Interruptible:
    """A coroutine, and the means to raise SoftTimeoutExceeded in it once."""

    __slots__ = ("_call", "_is_due", "_task", "_waits")

    def __init__(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Drive the coroutine that `call` gives, which is not called before it runs."""
        self._call = call
        self._task: asyncio.Task[Any] | None = None
        self._is_due = False
        self._waits = False

    async def run(self) -> None:
        """Run the coroutine to its end; once, in an asyncio task of its own."""
        self._task = asyncio.current_task()
        await self

    def interrupt(self) -> None:
        """Raise it at the await where the coroutine stands, or at its next. On the loop."""
        self._is_due = True
        if self._task is not None and self._waits:
            self._task.cancel()

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine = self._call()
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration:
                return
            value, error = None, None
            if self._is_due and self._task is not None:
                self._task.cancel()
            self._waits = True
            try:
                value = yield waits_for
            except BaseException as raised:  # noqa: BLE001 - it belongs inside
                error = raised
            self._waits = False
            if self._is_due and not isinstance(error, GeneratorExit):
                self._is_due = False
                error = self._in_place_of(error)

    def _in_place_of(self, error: BaseException | None) -> BaseException:
        if self._task is not None and self._task.uncancel() and error is not None:
            return error  # somebody has cancelled it in earnest
        told = _SoftTimeoutOnLoop()
        told.__context__ = None if isinstance(error, asyncio.CancelledError) else error
        return told
