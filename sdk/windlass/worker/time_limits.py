"""Owns the timers of one attempt: when its task is told that time is short, and when it is stopped.

What telling and stopping mean is the runner's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TimeLimits:
    """Made, and called by its timers, on the loop. Times in seconds from now, 0 for none."""

    __slots__ = ("_ahead", "_is_over", "_loop", "_on_soft", "_on_stop", "_soft", "_stop", "is_told")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        execution: float,
        soft: float,
        on_stop: Callable[[], object],
        on_soft: Callable[[], object],
    ) -> None:
        """Start both timers."""
        self._loop = loop
        self._on_stop = on_stop
        self._on_soft = on_soft
        # The task is told so long before it is stopped, also where it is stopped later than planned.
        self._ahead = max(execution - soft, 0.0)
        self._is_over = False
        self.is_told = False
        self._stop = loop.call_later(execution, on_stop) if execution else None
        self._soft = loop.call_later(soft, self._tell) if soft else None

    def refresh(self, execution: float) -> None:
        """Count anew from now on. From any thread."""
        self._on_loop(self._refresh, execution)

    def stop_after(self, seconds: float, call: Callable[[], object]) -> None:
        """From now on only `call` counts, after so long."""
        self._cancel()
        self._stop = self._loop.call_later(seconds, call)

    def cancel(self) -> None:
        """Nothing counts any more. From any thread."""
        self._on_loop(self._cancel)

    def _refresh(self, execution: float) -> None:
        if self._is_over:
            return
        if self._stop is not None:
            self._stop.cancel()
            self._stop = self._loop.call_later(execution, self._on_stop)
        if self._soft is not None and not self.is_told:
            self._soft.cancel()
            self._soft = self._loop.call_later(max(execution - self._ahead, 0.0), self._tell)

    def _tell(self) -> None:
        self.is_told = True
        self._on_soft()

    def _cancel(self) -> None:
        self._is_over = True
        for timer in (self._stop, self._soft):
            if timer is not None:
                timer.cancel()

    def _on_loop(self, call: Callable[..., None], *args: float) -> None:
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - None on a thread, no exception
            call(*args)
        else:
            # The loop of a process that is ending has no timers any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *args)
