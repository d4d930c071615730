"""Owns how a task says how many of its runs may be under way at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from windlass.expression import check_expression

if TYPE_CHECKING:
    from windlass.v1 import workflow_pb2

ConcurrencyLevel: TypeAlias = Literal["workflow", "task"]

_MOST_RUNS: Final = 1_000_000
_MOST_OF_A_LEVEL: Final = 10
_ONE_KEY: Final = "'all'"


class ConcurrencyLimitStrategy(StrEnum):
    """What becomes of runs whose key has no permit left.

    GROUP_ROUND_ROBIN: they wait, and the keys take turns.
    CANCEL_IN_PROGRESS: the oldest with its key, running or waiting, is cancelled for the new one.
    CANCEL_NEWEST: the new one is cancelled.
    """

    GROUP_ROUND_ROBIN = "GROUP_ROUND_ROBIN"
    CANCEL_IN_PROGRESS = "CANCEL_IN_PROGRESS"
    CANCEL_NEWEST = "CANCEL_NEWEST"


@dataclass(frozen=True, slots=True)
class ConcurrencyExpression:
    """At most `max_runs` at a time for each value of `expression`.

    Args:
        expression: CEL over `input` and `metadata`, which gives a string, a number or a boolean: the key,
            as `"input.user_id"`. At most 1,000 characters, without loops and `matches()`.
        max_runs: permits per key, 1 to 1,000,000.
        limit_strategy: what becomes of the others.
        level: "workflow" keeps the permit from the run's first start to its end, retries and the waits
            between them included; "task" gives it back at the end of each attempt.

    """

    expression: str
    max_runs: int = 1
    limit_strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
    level: ConcurrencyLevel = "workflow"

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_expression(self.expression, "expression")
        if type(self.max_runs) is not int or not 1 <= self.max_runs <= _MOST_RUNS:
            msg = f"max_runs={self.max_runs!r}: a whole number from 1 to {_MOST_RUNS:,} was expected"
            raise ValueError(msg)
        object.__setattr__(self, "limit_strategy", ConcurrencyLimitStrategy(self.limit_strategy))
        if self.level not in get_args(ConcurrencyLevel):
            msg = f'level={self.level!r}: "workflow" or "task" was expected'
            raise ValueError(msg)

    def to_proto(self) -> workflow_pb2.Concurrency:
        """Write it as the contracts have it."""
        from windlass.v1 import workflow_pb2

        return workflow_pb2.Concurrency(
            expression=self.expression,
            max_runs=self.max_runs,
            strategy=workflow_pb2.ConcurrencyStrategy.Value(f"CONCURRENCY_STRATEGY_{self.limit_strategy}"),
        )


Concurrency: TypeAlias = int | ConcurrencyExpression | Iterable[ConcurrencyExpression]


def read_concurrency(given: object, level: ConcurrencyLevel = "workflow") -> tuple[ConcurrencyExpression, ...]:
    """Read a decorator's `concurrency`; a number is that of all keys together, of this level.

    Raises:
        TypeError: it is something else.
        ValueError: it holds too many.

    """
    match given:
        case None:
            return ()
        case bool() | str():
            pass
        case int():
            return (ConcurrencyExpression(_ONE_KEY, given, level=level),)
        case ConcurrencyExpression():
            return (given,)
        case Iterable():
            several = tuple(given)
            keys = tuple(each for each in several if isinstance(each, ConcurrencyExpression))
            if len(keys) == len(several):
                return _bounded(keys)
        case _:
            pass
    msg = f"concurrency takes a number, a ConcurrencyExpression or a list of them, not {given!r}"
    raise TypeError(msg)


def _bounded(several: tuple[ConcurrencyExpression, ...]) -> tuple[ConcurrencyExpression, ...]:
    for level in get_args(ConcurrencyLevel):
        if sum(each.level == level for each in several) > _MOST_OF_A_LEVEL:
            msg = f"concurrency: at most {_MOST_OF_A_LEVEL} of level {level!r} were expected"
            raise ValueError(msg)
    return several
