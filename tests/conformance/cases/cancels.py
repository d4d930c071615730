"""Cancelling: told at once, enforced after the grace, answered in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@case
async def a_cancelled_attempt_ends(rig: Rig) -> None:
    """An attempt that heeds its cancelling ends soon, and how it ended is reported."""
    link = await rig.connect()
    attempt, other = work.hold(), work.hold(800)
    link.assign(attempt, other)
    await link.acceptance(attempt)
    link.cancel(attempt.lease_id)
    outcome = await link.outcome(attempt)
    if isinstance(outcome, dispatch_pb2.Failed):
        work.expect_failure(outcome)
    work.expect_output(await link.outcome(other), {"held": 800})


@case
async def a_stubborn_attempt_is_given_up(rig: Rig) -> None:
    """One that does not heed it is reported failed after cancel_grace_ms, and that is all that is said of it."""
    rig.dispatcher.welcome.cancel_grace_ms = 500
    link = await rig.connect()
    attempt = work.stubborn(4_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    asked_at = rig.now()
    link.cancel(attempt.lease_id)
    work.expect_failure(await link.outcome(attempt))
    seconds = rig.now() - asked_at
    assert seconds > 0.48, f"given up after {seconds * 1000:.0f} ms, and the grace is 500 ms"
    assert seconds < 3.5, f"given up only after {seconds:.1f} s, and the grace is 0.5 s"
    await rig.execute_for(link, 4_000)
    told = len(link.outcomes_of(attempt.lease_id))
    assert told == 1, f"expected one answer for one lease, got {told}"


@case
async def unknown_leases_are_not_cancelled(rig: Rig) -> None:
    """A cancel of leases that are unknown, or have ended, changes nothing."""
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    ended = work.echo()
    link.assign(ended)
    await link.outcome(ended)
    link.cancel("0" * 32, ended.lease_id)
    await rig.execute_for(link, 400)
    assert len(link.outcomes_of(ended.lease_id)) == 1, "an attempt that had ended was reported again"
    assert len(rig.dispatcher.links) == 1, "the worker left the stream"


@case
async def cancelled_before_it_starts(rig: Rig) -> None:
    """An assignment with cancel_requested is answered without being executed."""
    link = await rig.connect()
    attempt = work.log(1, cancel_requested=True)
    link.assign(attempt)
    await link.outcome(attempt)
    await rig.execute_for(link, 200)
    assert not link.lines_of(attempt.lease_id), "the attempt was executed"
