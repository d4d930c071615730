"""Owns what a user can say about retries. The decision itself is the server's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from windlass.duration import Duration, to_milliseconds
from windlass.v1 import workflow_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

ErrorType = type[BaseException] | str

_MOST_ATTEMPTS: Final = 1_000_000


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
        non_retryable_errors: exception types, or their names, that are never retried.
        retryable_errors: where not empty, only these are retried.

    """

    max_attempts: int = 1
    initial_interval: Duration = 0
    backoff_coefficient: float = 1.0
    max_interval: Duration | None = None
    jitter: bool = True
    non_retryable_errors: Iterable[ErrorType] = field(default=())
    retryable_errors: Iterable[ErrorType] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if type(self.max_attempts) is not int:
            msg = f"max_attempts takes a whole number, not {self.max_attempts!r}"
            raise TypeError(msg)
        if not 1 <= self.max_attempts <= _MOST_ATTEMPTS:
            msg = f"max_attempts={self.max_attempts}: 1 to {_MOST_ATTEMPTS:,} was expected (the first attempt counts)"
            raise ValueError(msg)
        if not self.backoff_coefficient >= 1:
            msg = f"backoff_coefficient={self.backoff_coefficient}: at least 1 was expected"
            raise ValueError(msg)
        object.__setattr__(self, "non_retryable_errors", error_names(self.non_retryable_errors))
        object.__setattr__(self, "retryable_errors", error_names(self.retryable_errors))
        self.to_proto()

    def to_proto(self) -> workflow_pb2.RetryPolicy:
        """Write it as the contracts have it."""
        longest = 0 if self.max_interval is None else to_milliseconds(self.max_interval, "max_interval")
        return workflow_pb2.RetryPolicy(
            max_attempts=self.max_attempts,
            initial_interval_ms=min(to_milliseconds(self.initial_interval, "initial_interval"), 2**32 - 1),
            backoff_coefficient=self.backoff_coefficient,
            max_interval_ms=longest,
            jitter=self.jitter,
            non_retryable_errors=tuple(map(str, self.non_retryable_errors)),
            retryable_errors=tuple(map(str, self.retryable_errors)),
        )


def error_names(types: Iterable[ErrorType]) -> tuple[str, ...]:
    """Name exception types as failures on the wire do: by the last part of the qualified name."""
    return tuple(_error_name(each) for each in types)


def policy_from_counts(
    *,
    retries: int,
    backoff_factor: float | None,
    backoff_max_seconds: float | None,
    backoff_jitter: bool,
    retry_on: Iterable[ErrorType],
    no_retry_on: Iterable[ErrorType],
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
