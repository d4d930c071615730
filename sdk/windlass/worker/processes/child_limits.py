"""Owns when a child is replaced, and how that is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from windlass.exceptions import InvalidConfig
from windlass.worker.processes.memory import is_known

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(i?)B?", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3}


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """When a child is replaced. 0: never.

    Attributes:
        tasks: after so many attempts.
        memory: when it has so many bytes resident.

    """

    tasks: int = 0
    memory: int = 0


def read_limits(max_tasks: int | None, max_memory: int | str | None) -> ChildLimits:
    """Read the two as users give them.

    Args:
        max_tasks: attempts; None: no limit.
        max_memory: bytes, or text as in "500MB", "1.5GB", "512MiB"; None: no limit.

    Raises:
        InvalidConfig: one of them is none, or this machine does not tell a process's memory.

    """
    if max_tasks is not None and (type(max_tasks) is not int or max_tasks < 1):
        raise InvalidConfig(f"max_tasks_per_child={max_tasks!r}: a number of attempts from 1 on was expected")
    memory = 0 if max_memory is None else _read_size(max_memory)
    if memory and not is_known():
        raise InvalidConfig("max_memory_per_child needs /proc, which this machine does not have")
    return ChildLimits(max_tasks or 0, memory)


def _read_size(value: int | str) -> int:
    if type(value) is int and value > 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = 0
    if found is not None:
        number, unit, binary = found.groups()
        size = int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()])
    if size < 1:
        raise InvalidConfig(f'max_memory_per_child={value!r}: bytes, or a size as in "500MB" or "1.5GiB", was expected')
    return size
