"""One lease is one execution, however often it is delivered, and its result is told until it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@case
async def a_duplicate_runs_once(rig: Rig) -> None:
    """An assignment that comes again while it is held is dropped."""
    link = await rig.connect()
    attempt, logged = work.hold(300), work.log(1)
    link.assign(attempt, attempt, logged, logged)
    link.assign(attempt, logged)
    work.expect_output(await link.outcome(attempt), {"held": 300})
    await rig.execute_for(link, 400)
    told = len(link.outcomes_of(attempt.lease_id))
    assert told == 1, f"expected one answer for one lease, got {told}"
    lines = len(link.lines_of(logged.lease_id))
    assert lines == 1, f"expected the one line of one execution, got {lines}"


@case
async def an_acknowledged_lease_is_not_run_again(rig: Rig) -> None:
    """An assignment whose lease has ended and been acknowledged is dropped."""
    link = await rig.connect()
    attempt = work.log(1)
    link.assign(attempt)
    await link.outcome(attempt)
    await rig.execute_for(link, 1)
    link.assign(attempt)
    await rig.execute_for(link, 300)
    assert len(link.lines_of(attempt.lease_id)) == 1, "the attempt was executed again"


@case
async def running_work_survives_a_cut(rig: Rig) -> None:
    """What executes when the stream breaks goes on, is named in the next Hello and reported there."""
    link = await rig.connect()
    attempt = work.hold(1_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    worker_id = link.hello.worker_id
    link = await rig.cut(link)
    assert link.hello.worker_id == worker_id, "worker_id: expected the same on every connection of a process"
    held = list(link.hello.held_lease_ids)
    assert held == [attempt.lease_id], f"held_lease_ids: expected the one running, got {held}"
    work.expect_output(await link.outcome(attempt), {"held": 1_000})


@case
async def held_work_is_not_run_again(rig: Rig) -> None:
    """A lease that is held, running or not yet acknowledged, and comes again after a cut is dropped."""
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    running, ended = work.hold(600), work.log(1)
    link.assign(running, ended)
    await link.acceptance(running)
    await link.outcome(ended)
    rig.dispatcher.acknowledges = True
    link = await rig.cut(link)
    link.assign(running, ended)
    await link.outcome(running)
    await rig.execute_for(link, 700)
    told = len(link.outcomes_of(running.lease_id))
    assert told == 1, f"expected one answer for one lease, got {told}"
    assert not link.lines_of(ended.lease_id), "an attempt that had ended was executed again"


@case
async def work_that_ends_while_away_is_reported(rig: Rig) -> None:
    """A result that comes about while there is no dispatcher is kept and told to the next one."""
    link = await rig.connect()
    attempt = work.hold(300)
    link.assign(attempt)
    await link.acceptance(attempt)
    await rig.dispatcher.server.stop()
    await rig.let_time_pass(600)
    await rig.dispatcher.server.start()
    link = await rig.dispatcher.link(2)
    assert list(link.hello.held_lease_ids) == [attempt.lease_id], "held_lease_ids: expected the unreported lease"
    work.expect_output(await link.outcome(attempt), {"held": 300})


@case
async def unacknowledged_results_are_sent_again(rig: Rig) -> None:
    """Without an ack before the stream breaks, lease and result come again on the next one."""
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    completed, failing = work.echo("kept"), work.fail("kept too")
    link.assign(completed, failing)
    await link.outcome(completed)
    await link.outcome(failing)
    link = await rig.cut(link)
    held = set(link.hello.held_lease_ids)
    assert held == {completed.lease_id, failing.lease_id}, f"held_lease_ids: expected both, got {len(held)}"
    work.expect_output(await link.outcome(completed), {"value": "kept"})
    assert work.expect_failure(await link.outcome(failing)).failure.message == "kept too", "another message than before"


@case
async def acknowledged_results_are_forgotten(rig: Rig) -> None:
    """What was acknowledged is neither held nor told again; what was not, is."""
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    known, unknown = work.echo("known"), work.echo("unknown")
    link.assign(known, unknown)
    await link.outcome(known)
    await link.outcome(unknown)
    link.acknowledge(known.lease_id)
    await rig.execute_for(link, 1)
    link = await rig.cut(link)
    assert known.lease_id not in link.hello.held_lease_ids, "an acknowledged lease is still held"
    work.expect_output(await link.outcome(unknown), {"value": "unknown"})
    await rig.execute_for(link, 1)
    assert not link.outcomes_of(known.lease_id), "an acknowledged result was told again"


@case
async def a_refused_result_is_dropped(rig: Rig) -> None:
    """An ack of lease lost, duplicate or rejected ends the matter as well."""
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    attempts = {
        dispatch_pb2.REPORT_OUTCOME_LEASE_LOST: work.echo(1),
        dispatch_pb2.REPORT_OUTCOME_DUPLICATE: work.echo(2),
        dispatch_pb2.REPORT_OUTCOME_REJECTED: work.echo(3),
    }
    link.assign(*attempts.values())
    for outcome, attempt in attempts.items():
        await link.outcome(attempt)
        link.acknowledge(attempt.lease_id, outcome=outcome)
    await rig.execute_for(link, 1)
    link = await rig.cut(link)
    for outcome, attempt in attempts.items():
        name = dispatch_pb2.ReportOutcome.Name(outcome)
        assert attempt.lease_id not in link.hello.held_lease_ids, f"a lease is still held after {name}"
    await rig.execute_for(link, 1)
    for outcome, attempt in attempts.items():
        name = dispatch_pb2.ReportOutcome.Name(outcome)
        assert not link.outcomes_of(attempt.lease_id), f"a result was told again after {name}"


@case
async def leases_lost_at_the_welcome_are_dropped(rig: Rig) -> None:
    """Attempts whose leases Welcome calls lost are stopped, not reported, and their slots are free."""
    link = await rig.connect(slots=1)
    attempt = work.hold(1_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    rig.dispatcher.welcome.lost_lease_ids.append(attempt.lease_id)
    link = await rig.cut(link)
    await rig.execute_for(link, 1_200)
    assert not link.outcomes_of(attempt.lease_id), "an attempt was reported whose lease was lost"


@case
async def leases_lost_at_a_heartbeat_are_dropped(rig: Rig) -> None:
    """Attempts whose leases a heartbeat's answer calls lost are stopped and not named again."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    attempt, finished = work.hold(3_000), work.echo()
    link.assign(attempt, finished)
    await link.acceptance(attempt)
    await link.outcome(finished)
    rig.dispatcher.acknowledges = True
    rig.dispatcher.lost_leases = {attempt.lease_id, finished.lease_id}
    # The first one is told; the second may have been on its way by then.
    named = list((await link.heartbeat(3)).lease_ids)
    assert not named, f"expected a heartbeat without the lost leases, got {len(named)}"
    await rig.execute_for(link, 3_000)
    assert not link.outcomes_of(attempt.lease_id), "an attempt was reported whose lease was lost"
