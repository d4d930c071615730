"""Owns how much memory a process has, as the kernel says. Linux only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

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
