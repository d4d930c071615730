"""Owns how far a task says that it is: what is taken, and how it travels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from windlass.v1 import run_pb2

_LONGEST_MESSAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is. `done` and `total` are in units of the task's own; `total` is None where nobody knows."""

    done: float
    total: float | None
    message: str

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None without a total."""
        return None if self.total is None else min(max(self.done / self.total, 0.0), 1.0)

    @classmethod
    def from_proto(cls, progress: run_pb2.Progress) -> Self:
        """Read it from the wire."""
        return cls(progress.done, progress.total if progress.total > 0 else None, progress.message)


def progress_message(done: float, total: float | None, message: object) -> run_pb2.Progress:
    """Write it for the wire. Raises ValueError and TypeError that name what was expected."""
    from windlass.v1 import run_pb2  # a module that only defines tasks never loads the stubs

    return run_pb2.Progress(
        done=_number("done", done, zero=True),
        total=0.0 if total is None else _number("total", total, zero=False),
        message=str(message)[:_LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode(),
    )


def _number(name: str, value: object, *, zero: bool) -> float:
    expected = f"{name}={value!r}: a number of {'at least' if zero else 'more than'} 0 was expected"
    if not isinstance(value, Real):
        raise TypeError(expected)
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(expected)
    return number
