"""Owns how what tasks log with the standard library gets into the logs of their runs.

One handler on the root logger for all workers of the process. Which run a record belongs to is told by
the context that is current where it is emitted; where none is, nothing is done.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from typing_extensions import override

from windlass.batch_context import current_batch
from windlass.context import current


class _Capture(logging.Handler):
    """Writes records of tasks down as lines of their runs."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: set[str] = set()
        self._inside = threading.local()

    def begin(self, worker_id: str) -> None:
        """Take what the tasks of a worker log."""
        if not self._workers:
            logging.getLogger().addHandler(self)
        self._workers.add(worker_id)

    def end(self, worker_id: str) -> None:
        """Take it no longer. Harmless when repeated."""
        self._workers.discard(worker_id)
        if not self._workers:
            logging.getLogger().removeHandler(self)

    @override
    def createLock(self) -> None:
        """Make none: nothing is shared, and a thread that is stopped inside can't leave it taken."""
        self.lock = None

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        """Do as logging.Handler, without a lock."""
        self.emit(record)
        _show_if_nobody_else_does(record)
        return True

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with the run of the task that emitted it."""
        ctx = current.get() or current_batch.get()
        if ctx is None or ctx.worker_id not in self._workers or _is_ours(record.name):
            return
        if getattr(self._inside, "now", False):
            return  # emitted while another one was turned into text
        self._inside.now = True
        try:
            ctx.log(self.format(record), _level(record.levelno))
        except Exception:  # noqa: BLE001 - what a record's arguments do when they are turned into text is anybody's guess
            self.handleError(record)
        finally:
            self._inside.now = False


_capture: Final = _Capture()
_capturing: Final = threading.Lock()


def begin_capture(worker_id: str) -> None:
    """Have what the tasks of this worker log kept with their runs."""
    with _capturing:
        _capture.begin(worker_id)


def end_capture(worker_id: str) -> None:
    """Have it kept no longer; after the last worker the root logger is as it was."""
    with _capturing:
        _capture.end(worker_id)


def _is_ours(name: str) -> bool:
    return name == "windlass" or name.startswith("windlass.")


def _level(number: int) -> str:
    """Name the highest of the five levels that is not above `number`."""
    if number >= logging.WARNING:
        if number >= logging.ERROR:
            return "CRITICAL" if number >= logging.CRITICAL else "ERROR"
        return "WARNING"
    return "INFO" if number >= logging.INFO else "DEBUG"


def _show_if_nobody_else_does(record: logging.LogRecord) -> None:
    """Do what logging does for a record without a handler, which it has only because of this one."""
    last = logging.lastResort
    if last is None or record.levelno < last.level:
        return
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(handler is not _capture for handler in logger.handlers):
            return
        logger = logger.parent if logger.propagate else None
    last.handle(record)
