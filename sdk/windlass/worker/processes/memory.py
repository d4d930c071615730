"""Owns how much memory a process has, as the kernel says, and looking at it. Linux only."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from windlass.worker.processes.child_process import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from windlass.worker.processes.child_process import ChildProcess

_log = logging.getLogger("windlass.worker")

#: How often it is looked at, in seconds.
LOOK_EVERY: Final = 1.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes(pid: int) -> int:
    """Memory that a process has resident, what it shares with others included; 0 where it has ended.

    See statm in proc_pid_statm(5).
    """
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_known() -> bool:
    """Whether this machine's kernel says it."""
    return Path("/proc/self/statm").exists()


async def watch_memory(
    children: Callable[[], Iterable[ChildProcess]], most: int, replace: Callable[[ChildProcess], None]
) -> None:
    """Have each child replaced that has over `most` bytes; until cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        for child in children():
            has = resident_bytes(child.pid)
            if has > most and child.state is State.READY:
                _log.info("child %d has %.0f MB: it is replaced", child.pid, has / 1e6)
                replace(child)
