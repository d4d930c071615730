"""Owns the signals that end a worker: the first drains, the second leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from windlass.transport.io_thread import io_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_TAKEN: Final = frozenset({signal.SIGTERM, signal.SIGINT})


@contextlib.contextmanager
def taken_signals(on_first: Callable[[str], bool]) -> Iterator[None]:
    """Take SIGTERM and SIGINT; only the main thread gets any.

    Python's own handlers, not the loop's: they are called even while a task blocks the loop.

    Args:
        on_first: called with a signal's name; False: it is not the first.

    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    second: list[_SecondSignal] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if not on_first(signal.Signals(number).name):
            _leave_at_once()
        second.append(_SecondSignal())

    before = {number: signal.signal(number, on_signal) for number in _TAKEN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if second:
            signal.set_wakeup_fd(-1)


class _SecondSignal:
    """Leaves at the next signal, even if the main thread never gets round to its handler.

    A signal that comes just before a blocking call begins is seen by Python only when that has
    ended; the byte that it writes to the wake-up descriptor is seen by the I/O thread at once.
    """

    def __init__(self) -> None:
        """Begin; only the main thread may."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        thread = io_thread()
        thread.post(thread.loop.add_reader, self._reader, self._on_byte)

    def _on_byte(self) -> None:
        if not _TAKEN.isdisjoint(self._reader.recv(64)):
            _leave_at_once()


def _leave_at_once() -> NoReturn:
    os.write(2, b"second signal: leaving at once\n")
    os._exit(0)
