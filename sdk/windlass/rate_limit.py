"""Owns how a task says which rate limits its attempts take units of. Putting limits is `rate_limits`'s."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from windlass.duration import Duration, to_milliseconds
from windlass.expression import check_expression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.v1 import workflow_pb2

MOST_UNITS: Final = 1_000_000_000_000
_MOST_UNITS_OF_ONE: Final = 1_000_000_000
_MOST_LIMITS: Final = 10
_SHORTEST_MS: Final = 1_000
_LONGEST_MS: Final = 366 * 86_400_000


class RateLimitDuration(StrEnum):
    """Lengths of a rate limit's window; any other duration from a second to 366 days will do too."""

    SECOND = "1s"
    MINUTE = "1m"
    HOUR = "1h"
    DAY = "1d"
    WEEK = "7d"
    MONTH = "30d"
    YEAR = "365d"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Units that each attempt takes of a limit on starts per time, shared by all workers.

    Args:
        static_key: name of a limit that was put with `app.rate_limits.put`; or
        dynamic_key: CEL over `input` and `metadata` that gives the name, with limit and duration here.
        units: what one attempt takes, from 1 up, or a CEL expression that gives it, from 0 up.
        limit: with dynamic_key: units per window, or a CEL expression that gives them.
        duration: with dynamic_key: length of the window; a minute unless given.

    """

    static_key: str | None = None
    dynamic_key: str | None = None
    units: int | str = 1
    limit: int | str | None = None
    duration: RateLimitDuration | Duration | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if (self.static_key is None) == (self.dynamic_key is None):
            msg = "a rate limit takes either static_key, the name of one that was put, or dynamic_key, an expression"
            raise ValueError(msg)
        _check_units(self.units, "units", _MOST_UNITS_OF_ONE)
        if self.dynamic_key is None:
            if not isinstance(self.static_key, str) or not self.static_key:
                msg = f"static_key takes the name of a limit that was put, not {self.static_key!r}"
                raise TypeError(msg)
            if self.limit is not None or self.duration is not None:
                msg = f"limit and duration of {self.static_key!r} are those it was put with: leave them out here"
                raise ValueError(msg)
            return
        check_expression(self.dynamic_key, "dynamic_key")
        if self.limit is None:
            msg = "dynamic_key needs limit, the units per window"
            raise ValueError(msg)
        _check_units(self.limit, "limit", MOST_UNITS)
        if isinstance(self.limit, int) and isinstance(self.units, int) and self.units > self.limit:
            msg = f"units={self.units}: at most the limit, {self.limit}, was expected; it could never start"
            raise ValueError(msg)
        self._window_ms()

    def to_proto(self) -> workflow_pb2.RateLimit:
        """Write it as the contracts have it."""
        from windlass.v1 import workflow_pb2

        limit = self.limit or 0
        return workflow_pb2.RateLimit(
            static_key=self.static_key or "",
            dynamic_key=self.dynamic_key or "",
            units=self.units if isinstance(self.units, int) else 0,
            units_expression=self.units if isinstance(self.units, str) else "",
            limit=limit if isinstance(limit, int) else 0,
            limit_expression=limit if isinstance(limit, str) else "",
            window_ms=self._window_ms() if self.dynamic_key is not None else 0,
        )

    def _window_ms(self) -> int:
        return window_ms(RateLimitDuration.MINUTE if self.duration is None else self.duration)


def window_ms(duration: RateLimitDuration | Duration) -> int:
    """Read the length of a window, in milliseconds. Raises ValueError, TypeError."""
    milliseconds = to_milliseconds(duration, "duration")
    if not _SHORTEST_MS <= milliseconds <= _LONGEST_MS:
        msg = f"duration={duration!r}: a second to 366 days was expected"
        raise ValueError(msg)
    return milliseconds


def read_rate_limits(given: Iterable[object]) -> tuple[RateLimit, ...]:
    """Read a decorator's `rate_limits`. Raises TypeError, ValueError."""
    limits: list[RateLimit] = []
    for each in given:
        if not isinstance(each, RateLimit):
            msg = f"rate_limits takes a list of RateLimit, not of {each!r}"
            raise TypeError(msg)
        limits.append(each)
    if len(limits) > _MOST_LIMITS:
        msg = f"rate_limits: at most {_MOST_LIMITS} were expected, not {len(limits)}"
        raise ValueError(msg)
    names = [each.static_key for each in limits if each.static_key is not None]
    if twice := next((name for name in names if names.count(name) > 1), None):
        msg = f"rate_limits: {twice!r} stands there twice; add the units up"
        raise ValueError(msg)
    return tuple(limits)


def _check_units(value: object, name: str, most: int) -> None:
    if isinstance(value, str):
        check_expression(value, name)
    elif type(value) is not int or not 1 <= value <= most:
        msg = f"{name}={value!r}: a whole number from 1 to {most:,} or a CEL expression was expected"
        raise ValueError(msg)
