"""Whether and when a failed attempt is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_core.domain.retry import MAX_INTERVAL_MS, Dead, Policy, RetryAfter, backoff_ms, decide_retry

policies = st.builds(
    Policy,
    max_attempts=st.integers(1, 1000),
    initial_interval_ms=st.integers(0, 10**9),
    coefficient=st.floats(1, 1000),
    max_interval_ms=st.integers(0, MAX_INTERVAL_MS),
    jitter=st.booleans(),
)


def _decide(policy: Policy, **given: Any) -> RetryAfter | Dead:
    facts: dict[str, Any] = {"attempt": 1, "error_types": ["Error"], "non_retryable": False, "random": 0.5}
    return decide_retry(policy, **{**facts, **given})


def test_without_a_policy_nothing_is_retried() -> None:
    """One attempt is all there is."""
    assert _decide(Policy()) == Dead()


def test_attempts_are_counted_with_the_first() -> None:
    """Three attempts are two retries."""
    policy = Policy(max_attempts=3)
    assert [_decide(policy, attempt=n) for n in (1, 2, 3, 4)] == [RetryAfter(0), RetryAfter(0), Dead(), Dead()]


def test_without_an_interval_a_retry_is_due_at_once() -> None:
    """Whatever the coefficient is."""
    assert _decide(Policy(max_attempts=9, coefficient=10), attempt=5) == RetryAfter(0)


def test_delays_grow_up_to_their_bound() -> None:
    """The interval times the coefficient for each attempt before."""
    policy = Policy(max_attempts=9, initial_interval_ms=100, coefficient=3, max_interval_ms=2_000)
    assert [backoff_ms(policy, n) for n in range(1, 6)] == [100, 300, 900, 2_000, 2_000]


def test_a_delay_too_large_for_a_float_is_the_bound() -> None:
    """The thousandth attempt of the steepest policy."""
    policy = Policy(max_attempts=1000, initial_interval_ms=2**32 - 1, coefficient=1000, max_interval_ms=5_000)
    assert backoff_ms(policy, 999) == 5_000


@given(policies, st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_no_delay_is_below_zero_or_over_the_bound(policy: Policy, attempt: int, random: float) -> None:
    """With jitter it is anywhere up to the computed one, without it is that."""
    match _decide(policy, attempt=attempt, random=random):
        case RetryAfter(delay):
            computed = backoff_ms(policy, attempt)
            assert 0 <= delay <= computed <= policy.max_interval_ms
            assert policy.jitter or delay == computed
        case Dead():
            assert attempt >= policy.max_attempts


def test_jitter_spreads_over_the_whole_delay() -> None:
    """From nothing to nearly all of it."""
    policy = Policy(max_attempts=2, initial_interval_ms=1_000, jitter=True)
    assert [_decide(policy, random=r) for r in (0.0, 0.25, 0.999)] == [RetryAfter(0), RetryAfter(250), RetryAfter(999)]


def test_the_worker_can_forbid_a_retry() -> None:
    """NonRetryableException, and outputs that can't be taken."""
    assert _decide(Policy(max_attempts=5), non_retryable=True) == Dead()


def test_named_errors_are_not_retried() -> None:
    """All others are."""
    policy = Policy(max_attempts=5, non_retryable=frozenset({"ValueError"}))
    assert _decide(policy, error_types=["ValueError"]) == Dead()
    assert _decide(policy, error_types=["KeyError"]) == RetryAfter(0)


def test_a_named_type_means_those_that_derive_from_it() -> None:
    """As an `except` does; where both lists say something of an error it is not retried."""
    refused = ["ConnectionRefusedError", "ConnectionError", "OSError", "Exception"]
    only = Policy(max_attempts=5, retryable=frozenset({"OSError"}))
    assert _decide(only, error_types=refused) == RetryAfter(0)
    assert _decide(only, error_types=["ValueError", "Exception"]) == Dead()
    but = Policy(max_attempts=5, retryable=frozenset({"Exception"}), non_retryable=frozenset({"ConnectionError"}))
    assert _decide(but, error_types=refused) == Dead()
    assert _decide(but, error_types=["TimeoutError", "OSError", "Exception"]) == RetryAfter(0)


def test_only_named_errors_are_retried() -> None:
    """A name that stands in both lists is not."""
    policy = Policy(
        max_attempts=5, retryable=frozenset({"KeyError", "ValueError"}), non_retryable=frozenset({"ValueError"})
    )
    assert _decide(policy, error_types=["KeyError"]) == RetryAfter(0)
    assert _decide(policy, error_types=["ValueError"]) == Dead()
    assert _decide(policy, error_types=["OSError"]) == Dead()


@pytest.mark.parametrize("attempt", [1, 2, 500])
def test_the_decision_is_the_same_every_time(attempt: int) -> None:
    """It is a function of what it is given."""
    policy = Policy(max_attempts=600, initial_interval_ms=7, coefficient=1.01, jitter=True)
    assert _decide(policy, attempt=attempt) == _decide(policy, attempt=attempt)
