"""Lines that tasks log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}


@case
async def lines_come_in_order_before_the_outcome(rig: Rig) -> None:
    """All lines of an attempt come as they were logged, and none after what became of it."""
    link = await rig.connect()
    attempt = work.log(200)
    link.assign(attempt)
    await link.outcome(attempt)
    messages = [line.message for line in link.lines_of(attempt.lease_id)]
    assert len(messages) == 200, f"expected 200 lines before the outcome, got {len(messages)}"
    assert messages == [f"line {number}" for number in range(1, 201)], f"out of order: {messages[:5]}…"


@case
async def a_line_says_where_it_belongs(rig: Rig) -> None:
    """A line has its run, its lease, its attempt, a level and a time."""
    link = await rig.connect()
    attempt = work.log(1, attempt=3, max_attempts=5)
    link.assign(attempt)
    await link.outcome(attempt)
    (entry,) = link.logs
    (line,) = entry.lines
    assert entry.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {entry.run_id!r}"
    assert line.attempt == 3, f"attempt: expected 3, got {line.attempt}"
    assert line.level in _LEVELS, f"level: expected one of {', '.join(sorted(_LEVELS))}, got {line.level!r}"
    hour_ms = 3_600_000
    assert abs(line.logged_at_ms - rig.wall_clock_ms()) < hour_ms, f"logged_at_ms: {line.logged_at_ms} is not now"
