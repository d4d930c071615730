"""Owns the names of a run's states as users see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the run will never change again."""
        return self in _ENDED

    @property
    def number(self) -> int:
        """The number that stands for it on the wire."""
        return _NUMBERS[self]

    @classmethod
    def from_number(cls, number: int) -> RunStatus:
        """Read the number that stands for it on the wire."""
        return _BY_NUMBER[number]


_ENDED: Final = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
_NUMBERS: Final = {status: number for number, status in enumerate(RunStatus, start=1)}
_BY_NUMBER: Final = {number: status for status, number in _NUMBERS.items()}
