"""Owns how a command that runs until it is told to stop hears that it is told."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and the terminal's end set. Main thread only."""
    stop = threading.Event()

    def set_it(_number: int, _frame: FrameType | None) -> None:
        # Not here: the signal may have come while this very thread holds the event's lock.
        threading.Thread(target=stop.set, name="windlass-stop").start()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, set_it) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
