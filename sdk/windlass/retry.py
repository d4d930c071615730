"""Owns what a user can say about retries. The decision itself is the server's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from windlass.duration import Duration, to_kept_milliseconds
from windlass.v1 import workflow_pb2

ErrorType = type[BaseException] | str
ErrorTypes = ErrorType | Iterable[ErrorType]

_MOST_ATTEMPTS: Final = 1_000
_LARGEST_COEFFICIENT: Final = 1_000
_LONGEST_INITIAL_MS: Final = 2**32 - 1
_MOST_PER_MINUTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how often a failed attempt is tried again.

    The delay before attempt n + 1 is `initial_interval × backoff_coefficient^(n − 1)`, at most
    `max_interval`; with `jitter` it is drawn evenly from zero to that ("full jitter").

    Args:
        max_attempts: attempts in all, the first included.
        initial_interval: delay before the second attempt, as a duration; 0 is at once.
        backoff_coefficient: growth of the delay from attempt to attempt, at least 1.
        max_interval: upper bound of the delay, as a duration; None leaves it to the server (one day).
        jitter: draw the delay at random.
        non_retryable_errors: exception types, or their names, that are never retried; what derives from
            one of them neither, as in an `except`.
        retryable_errors: where not empty, only these, and what derives from them, are retried.

    """

    max_attempts: int = 1
    initial_interval: Duration = 0
    backoff_coefficient: float = 1.0
    max_interval: Duration | None = None
    jitter: bool = True
    non_retryable_errors: ErrorTypes = field(default=())
    retryable_errors: ErrorTypes = field(default=())

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if type(self.max_attempts) is not int:
            msg = f"max_attempts takes a whole number, not {self.max_attempts!r}"
            raise TypeError(msg)
        if not 1 <= self.max_attempts <= _MOST_ATTEMPTS:
            msg = f"max_attempts={self.max_attempts}: 1 to {_MOST_ATTEMPTS:,} was expected (the first attempt counts)"
            raise ValueError(msg)
        if not 1 <= self.backoff_coefficient <= _LARGEST_COEFFICIENT:
            msg = f"backoff_coefficient={self.backoff_coefficient}: 1 to {_LARGEST_COEFFICIENT:,} was expected"
            raise ValueError(msg)
        object.__setattr__(self, "non_retryable_errors", error_names(self.non_retryable_errors))
        object.__setattr__(self, "retryable_errors", error_names(self.retryable_errors))
        self.to_proto()

    def to_proto(self) -> workflow_pb2.RetryPolicy:
        """Write it as the contracts have it."""
        longest = 0 if self.max_interval is None else to_kept_milliseconds(self.max_interval, "max_interval")
        initial = to_kept_milliseconds(self.initial_interval, "initial_interval")
        if initial > _LONGEST_INITIAL_MS:
            msg = f"initial_interval={self.initial_interval!r}: at most 49 days were expected"
            raise ValueError(msg)
        return workflow_pb2.RetryPolicy(
            max_attempts=self.max_attempts,
            initial_interval_ms=initial,
            backoff_coefficient=self.backoff_coefficient,
            max_interval_ms=longest,
            jitter=self.jitter,
            non_retryable_errors=error_names(self.non_retryable_errors),
            retryable_errors=error_names(self.retryable_errors),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """How many retries a workflow may have, over all its runs: so that a fault of what all of them need makes no storm.

    Where it is used up a failed attempt is its run's last, and the run's error says so.

    Args:
        ratio: retries per first attempt that ended in about the last minute, 0 to 1; 0.2 is one for five runs.
        min_per_minute: retries that are allowed besides in each minute.

    """

    ratio: float = 0.2
    min_per_minute: int = 10

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if type(self.ratio) not in (float, int) or not 0 <= self.ratio <= 1:
            msg = f"ratio={self.ratio!r}: 0 to 1 was expected (retries per first attempt)"
            raise ValueError(msg)
        if type(self.min_per_minute) is not int or not 0 <= self.min_per_minute <= _MOST_PER_MINUTE:
            msg = f"min_per_minute={self.min_per_minute!r}: a whole number from 0 to {_MOST_PER_MINUTE:,} was expected"
            raise ValueError(msg)
        if not self.ratio and not self.min_per_minute:
            msg = "ratio=0, min_per_minute=0: a budget of nothing; for no retries leave out retries"
            raise ValueError(msg)

    def to_proto(self) -> workflow_pb2.RetryBudget:
        """Write it as the contracts have it."""
        return workflow_pb2.RetryBudget(ratio=self.ratio, min_per_minute=self.min_per_minute)


def error_names(types: ErrorTypes) -> tuple[str, ...]:
    """Name exception types, or one, as failures on the wire do: by the last part of the qualified name."""
    several = (types,) if isinstance(types, str | type) else types
    return tuple(_error_name(each) for each in several)


def policy_from_counts(
    *,
    retries: int,
    backoff_factor: float | None,
    backoff_max_seconds: float | None,
    backoff_jitter: bool,
    retry_on: ErrorTypes,
    no_retry_on: ErrorTypes,
) -> RetryPolicy:
    """Build a policy from a decorator's separate parameters.

    The delay before retry n is `min(backoff_max_seconds, backoff_factor^n)` seconds; without
    `backoff_factor` a retry is due at once.
    """
    if type(retries) is not int or not 0 <= retries < _MOST_ATTEMPTS:
        msg = f"retries={retries!r}: a whole number from 0 up was expected (the attempts after the first)"
        raise ValueError(msg)
    if backoff_max_seconds is not None and backoff_factor is None:
        msg = "backoff_max_seconds bounds a delay that only backoff_factor makes: give both"
        raise ValueError(msg)
    if backoff_factor is not None and not backoff_factor >= 1:
        msg = f"backoff_factor={backoff_factor}: at least 1 was expected (retry n waits factor^n seconds)"
        raise ValueError(msg)
    return RetryPolicy(
        max_attempts=retries + 1,
        initial_interval=0 if backoff_factor is None else backoff_factor,
        backoff_coefficient=1.0 if backoff_factor is None else backoff_factor,
        max_interval=backoff_max_seconds,
        jitter=backoff_jitter,
        non_retryable_errors=no_retry_on,
        retryable_errors=retry_on,
    )


def _error_name(each: ErrorType) -> str:
    if isinstance(each, str) and re.fullmatch(r"[\w.]+", each):
        return each.rpartition(".")[2]
    if isinstance(each, type) and issubclass(each, BaseException):
        return each.__name__
    msg = f"an exception type or its name was expected, not {each!r}"
    raise TypeError(msg)
