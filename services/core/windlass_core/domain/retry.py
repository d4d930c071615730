"""Owns the decision whether and when a failed attempt is tried again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

MAX_INTERVAL_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again. Durations in milliseconds; `max_attempts` includes the first one."""

    max_attempts: int = 1
    initial_interval_ms: int = 0
    coefficient: float = 1.0
    max_interval_ms: int = MAX_INTERVAL_MS
    jitter: bool = False
    non_retryable: frozenset[str] = frozenset()
    retryable: frozenset[str] = frozenset()


class Budget(NamedTuple):
    """How many retries all runs of a workflow may have: per first attempt of the last minute, and besides."""

    ratio: float
    min_per_minute: int


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `delay_ms`; 0: at once."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt."""


def backoff_ms(policy: Policy, attempt: int) -> int:
    """Delay after the given failed attempt (from 1), in milliseconds, before jitter.

    initial × coefficient^(attempt − 1), at most `max_interval_ms`.
    """
    try:
        delay = policy.initial_interval_ms * policy.coefficient ** (attempt - 1)
    except OverflowError:
        return policy.max_interval_ms
    return int(min(delay, policy.max_interval_ms))


def decide_retry(
    policy: Policy, *, attempt: int, error_types: Collection[str], non_retryable: bool, random: float
) -> RetryAfter | Dead:
    """What follows the failure of the given attempt.

    `error_types` are the error's type and those that it derives from. `random` is evenly drawn from [0, 1)
    and scales the delay where the policy has jitter ("full jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if non_retryable or attempt >= policy.max_attempts or not policy.non_retryable.isdisjoint(error_types):
        return Dead()
    if policy.retryable and policy.retryable.isdisjoint(error_types):
        return Dead()
    delay = backoff_ms(policy, attempt)
    return RetryAfter(int(delay * random) if policy.jitter else delay)
