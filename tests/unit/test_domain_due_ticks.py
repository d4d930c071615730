"""Which ticks of a cron are fired, and which of those that were missed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.v1 import workflow_pb2
from windlass_core.domain.due_ticks import MAX_MADE_UP, MISSED_AFTER_MS, Due, decide_ticks

SKIP, ONE, ALL = workflow_pb2.CATCH_UP_SKIP, workflow_pb2.CATCH_UP_ONE, workflow_pb2.CATCH_UP_ALL
SECOND, MINUTE = 1_000, 60_000


def _decide(every_ms: int, **facts: Any) -> Due:
    defaults: dict[str, Any] = {"settled_ms": 0, "made_up": 0, "catch_up": SKIP, "room": 10_000}
    return decide_ticks(lambda after: (after // every_ms + 1) * every_ms, **{**defaults, **facts})


def test_a_tick_in_time_is_fired() -> None:
    """And the next one is told."""
    assert _decide(MINUTE, now_ms=MINUTE + 3) == Due([MINUTE], MINUTE, 0, 2 * MINUTE)


def test_nothing_is_fired_before_its_time() -> None:
    """It is looked at again when its tick has come."""
    assert _decide(MINUTE, now_ms=MINUTE - 1) == Due([], 0, 0, MINUTE)


@pytest.mark.parametrize("catch_up", [SKIP, ONE, ALL, workflow_pb2.CATCH_UP_UNSPECIFIED])
def test_what_another_scheduler_brings_late_was_not_missed(catch_up: int) -> None:
    """All ticks of the seconds that it took to take over."""
    due = _decide(SECOND, now_ms=10 * SECOND, catch_up=catch_up)
    assert due == Due([SECOND * n for n in range(1, 11)], 10 * SECOND, 0, 11 * SECOND)


def test_missed_ticks_are_passed_over() -> None:
    """Ten minutes without a scheduler: only the tick of this minute is fired."""
    due = _decide(MINUTE, now_ms=10 * MINUTE + 5)
    assert due == Due([10 * MINUTE], 10 * MINUTE, 0, 11 * MINUTE)
    due = _decide(MINUTE, now_ms=10 * MINUTE + MISSED_AFTER_MS)
    assert due == Due([], 10 * MINUTE, 0, 11 * MINUTE)


def test_the_last_of_the_missed_ticks_is_made_up_for() -> None:
    """And what was in time is fired besides."""
    due = _decide(MINUTE, now_ms=10 * MINUTE + MISSED_AFTER_MS, catch_up=ONE)
    assert due == Due([10 * MINUTE], 10 * MINUTE, 0, 11 * MINUTE)
    due = _decide(MINUTE, now_ms=10 * MINUTE, catch_up=ONE)
    assert due == Due([9 * MINUTE, 10 * MINUTE], 10 * MINUTE, 0, 11 * MINUTE)


def test_all_missed_ticks_are_made_up_for_in_pages() -> None:
    """Oldest first; what is left is due at once."""
    first = _decide(MINUTE, now_ms=10 * MINUTE, catch_up=ALL, room=4)
    assert first == Due([MINUTE * n for n in range(1, 5)], 4 * MINUTE, 4, 5 * MINUTE)
    rest = _decide(MINUTE, now_ms=10 * MINUTE, catch_up=ALL, settled_ms=4 * MINUTE, made_up=4)
    assert rest == Due([MINUTE * n for n in range(5, 11)], 10 * MINUTE, 0, 11 * MINUTE)


def test_no_more_than_a_thousand_are_made_up_for() -> None:
    """However many pages it takes, of an outage of a day; then it goes on with what is in time."""
    now, settled, made_up, fired = 24 * 60 * MINUTE, 0, 0, []
    while True:
        due = _decide(MINUTE, now_ms=now, catch_up=ALL, settled_ms=settled, made_up=made_up, room=300)
        fired += due.ticks
        settled, made_up = due.settled_ms, due.made_up
        if due.next_ms > now:
            break
    assert fired == [*(MINUTE * n for n in range(1, MAX_MADE_UP + 1)), now]
    assert (settled, made_up) == (now, 0)


def test_a_cron_that_is_never_due_again_is_left_alone() -> None:
    """Its last day is over."""
    due = decide_ticks(lambda _: 0, settled_ms=5, made_up=0, now_ms=MINUTE, catch_up=ALL, room=9)
    assert due == Due([], 5, 0, 0)


@given(
    st.sampled_from([SKIP, ONE, ALL]),
    st.integers(1, 120),
    st.integers(0, 5_000),
    st.integers(0, 5_000),
    st.integers(1, 50),
)
def test_ticks_in_time_are_fired_once_each_whatever_the_policy(
    catch_up: int, every_s: int, settled_s: int, late_s: int, room: int
) -> None:
    """In order, nothing twice, nothing ahead of its time; of the missed ones what the policy says."""
    every, now = every_s * SECOND, (settled_s + late_s) * SECOND
    settled, made_up, fired = settled_s * SECOND, 0, []
    while True:
        due = _decide(every, now_ms=now, settled_ms=settled, made_up=made_up, catch_up=catch_up, room=room)
        assert due.settled_ms >= settled
        fired += due.ticks
        settled, made_up = due.settled_ms, due.made_up
        if due.next_ms > now:
            break
    ticks = [t for t in range(0, now + 1, every) if t > settled_s * SECOND]
    missed = [t for t in ticks if t <= now - MISSED_AFTER_MS]
    kept: dict[int, list[int]] = {SKIP: [], ONE: missed[-1:], ALL: missed[:MAX_MADE_UP]}
    assert fired == kept[catch_up] + ticks[len(missed) :]
