"""Owns what `windlass doctor` finds: a verdict on one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    verdict: Verdict
    check: str
    said: str
    remedy: str = ""

    @classmethod
    def ok(cls, check: str, said: str) -> Self:
        """It is as it should be."""
        return cls(Verdict.OK, check, said)

    @classmethod
    def warning(cls, check: str, said: str, remedy: str) -> Self:
        """It works, and somebody should look at it."""
        return cls(Verdict.WARNING, check, said, remedy)

    @classmethod
    def failed(cls, check: str, said: str, remedy: str) -> Self:
        """It does not work."""
        return cls(Verdict.FAILED, check, said, remedy)

    @classmethod
    def skipped(cls, check: str, said: str) -> Self:
        """It could not be looked at."""
        return cls(Verdict.SKIPPED, check, said)

    def as_object(self) -> dict[str, str]:
        """Give it for programs."""
        return asdict(self)
