"""Time limits that a task has a part in: it is told before the end, and may ask for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

# More than fits into 32 bits.
_LONG_MS = 60 * 24 * 3_600_000


@optional_case("soft-timeout")
async def a_task_is_told_that_time_is_short(rig: Rig) -> None:
    """After soft_timeout_ms a task is told, inside, and may clean up and still return; one without is not told."""
    link = await rig.connect()
    told = work.limits(soft_timeout_ms=300, execution_timeout_ms=60_000, then_ms=50)
    other = work.limits(600)
    sent_at = rig.now()
    link.assign(told, other)
    work.expect_output(await link.outcome(told), {"told": True})
    seconds = rig.now() - sent_at
    assert seconds > 0.33, f"it ended after {seconds * 1000:.0f} ms, and was to be told after 300 ms"
    work.expect_output(await link.outcome(other), {"told": False})


@optional_case("soft-timeout")
async def who_was_told_is_still_stopped(rig: Rig) -> None:
    """A task that goes on after it was told is stopped at the execution timeout."""
    link = await rig.connect()
    attempt = work.limits(soft_timeout_ms=100, execution_timeout_ms=500, then_ms=work.FOR_EVER_MS)
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    kind = failed.failure.type
    assert kind == "ExecutionTimeout", f"expected a failure of type ExecutionTimeout, got {kind}"


@optional_case("refresh")
async def more_time_is_told_and_given(rig: Rig) -> None:
    """A task that asks for more time has it, and the engine is told; one without a limit gets none by that."""
    link = await rig.connect()
    longer = work.limits(1_500, refresh_ms=_LONG_MS, execution_timeout_ms=1_000)
    shorter = work.limits(refresh_ms=600, execution_timeout_ms=_LONG_MS)
    unlimited = work.limits(1_500, refresh_ms=300)
    link.assign(longer, shorter, unlimited)
    told = await link.refresh(longer)
    assert told.run_id == longer.run_id, f"run_id: expected {longer.run_id}, got {told.run_id!r}"
    given_ms = told.execution_timeout_ms
    assert _LONG_MS - 60_000 <= given_ms <= _LONG_MS, f"execution_timeout_ms: expected {_LONG_MS}, got {given_ms}"
    work.expect_output(await link.outcome(longer), {"told": False})
    failed = work.expect_failure(await link.outcome(shorter))
    kind = failed.failure.type
    assert kind == "ExecutionTimeout", f"expected a failure of type ExecutionTimeout, got {kind}"
    work.expect_output(await link.outcome(unlimited), {"told": False})


@optional_case("refresh")
async def more_time_is_told_again(rig: Rig) -> None:
    """After a Welcome it is said again, with what is left, of what executes and has asked; of nothing else."""
    link = await rig.connect()
    asked = work.limits(refresh_ms=_LONG_MS, execution_timeout_ms=60_000)
    ended = work.limits(1, refresh_ms=_LONG_MS, execution_timeout_ms=60_000)
    other = work.hold(execution_timeout_ms=60_000)
    link.assign(asked, ended, other)
    await link.refresh(asked)
    asked_at = rig.now()
    await link.outcome(ended)
    await link.acceptance(other)
    await rig.let_time_pass(500)
    link = await rig.cut(link)
    again = await link.refresh(asked)
    passed_ms, given_ms = (rig.now() - asked_at) * 1000, again.execution_timeout_ms
    assert given_ms <= _LONG_MS - 400, f"execution_timeout_ms: expected what is left, got {given_ms} of {_LONG_MS}"
    assert given_ms >= _LONG_MS - passed_ms - 60_000, f"execution_timeout_ms: {given_ms} is less than what is left"
    await rig.execute_for(link, 1)
    leases = {each.lease_id for each in link.refreshes}
    assert leases == {asked.lease_id}, f"refreshed: expected the one that has asked, got {len(leases)}"


@optional_case("refresh", "soft-timeout")
async def the_soft_timeout_moves_along(rig: Rig) -> None:
    """A soft timeout that is still to come keeps its distance before the end when that moves, either way."""
    link = await rig.connect()
    later = work.limits(1_200, refresh_ms=_LONG_MS, soft_timeout_ms=800, execution_timeout_ms=60_000)
    earlier = work.limits(refresh_ms=2_300, soft_timeout_ms=58_000, execution_timeout_ms=60_000)
    link.assign(later, earlier)
    work.expect_output(await link.outcome(later), {"told": False})
    work.expect_output(await link.outcome(earlier), {"told": True})
