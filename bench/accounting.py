"""Owns CPU time and memory of process trees, read from /proc (Linux). Starts and ends nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat, counted from the state, which follows the name in brackets.
_PARENT, _USER, _CUTIME_END, _RSS = 1, 11, 15, 21


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def tree(roots: Iterable[int]) -> list[int]:
    """The living processes among `roots` and all below them."""
    children: dict[int, list[int]] = {}
    living = set()
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if (stat := _stat(pid)) is not None:
            living.add(pid)
            children.setdefault(int(stat[_PARENT]), []).append(pid)
    found: list[int] = []
    waiting = [pid for pid in roots if pid in living]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, ()))
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the trees so far, reaped children included."""
    ticks = 0
    for pid in tree(roots):
        if (stat := _stat(pid)) is not None:
            ticks += sum(int(field) for field in stat[_USER:_CUTIME_END])
    return ticks / _TICKS_PER_SECOND


def resident_bytes(roots: Iterable[int]) -> int:
    """Resident memory of the trees; a page that two processes share counts twice."""
    pages = 0
    for pid in tree(roots):
        if (stat := _stat(pid)) is not None:
            pages += int(stat[_RSS])
    return pages * _PAGE_BYTES


def proportional_bytes(roots: Iterable[int]) -> int:
    """Resident memory of the trees; a page that n processes share counts 1/n for each."""
    kibibytes = 0
    for pid in tree(roots):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kibibytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kibibytes * 1024
