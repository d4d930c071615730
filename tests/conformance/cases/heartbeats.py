"""Heartbeats, and what follows when nobody answers them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import grpc

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@case
async def beats_at_the_interval(rig: Rig) -> None:
    """Heartbeats come every heartbeat_interval_ms and count up by one, on each stream anew."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    link = await rig.connect()
    first = await link.heartbeat()
    await link.heartbeat(4)
    beats = [each for each in link.heard if each.request.HasField("heartbeat")][:5]
    sequences = [each.request.heartbeat.sequence for each in beats]
    assert sequences == list(range(first.sequence, first.sequence + 5)), f"sequence: expected +1, got {sequences}"
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(beats)]
    assert sum(gaps) > 0.6 * 4 * 0.5, f"four heartbeats within {sum(gaps):.2f} s, at an interval of 0.5 s"
    assert max(gaps) < 2, f"{max(gaps):.1f} s between two heartbeats, at an interval of 0.5 s"
    link = await rig.cut(link)
    sequence = (await link.heartbeat()).sequence
    assert sequence == first.sequence, f"sequence: expected to begin with {first.sequence} again, got {sequence}"


@case
async def names_all_that_it_holds(rig: Rig) -> None:
    """A heartbeat names what executes and what has ended and is not acknowledged, and nothing else."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    rig.dispatcher.acknowledges = False
    link = await rig.connect()
    running, ended, known = work.hold(), work.echo(), work.echo()
    link.assign(running, ended, known)
    await link.acceptance(running)
    await link.outcome(ended)
    await link.outcome(known)
    link.acknowledge(known.lease_id)
    await rig.execute_for(link, 1)
    link.acknowledge(link.outcomes[-1].lease_id)
    await link.heartbeat()
    held = set((await link.heartbeat()).lease_ids)
    expected = {running.lease_id, ended.lease_id}
    assert running.lease_id in held, "an attempt that executes is not named"
    assert ended.lease_id in held, "an attempt that has ended and is not acknowledged is not named"
    assert held == expected, f"{len(held - expected)} leases are named that are not held"


@case
async def leaves_a_silent_dispatcher(rig: Rig) -> None:
    """Where heartbeats are not answered the worker connects anew, in time for its work to go on."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    rig.dispatcher.answers_heartbeats = False
    link = await rig.connect()
    attempt = work.hold(3_000)
    link.assign(attempt)
    again = await rig.dispatcher.link(2)
    rig.dispatcher.answers_heartbeats = True
    assert list(again.hello.held_lease_ids) == [attempt.lease_id], "held_lease_ids: expected the attempt under way"
    await rig.until(
        lambda: any(link.outcomes_of(attempt.lease_id) for link in rig.dispatcher.links), "the attempt's result"
    )
    outcomes = [each for link in rig.dispatcher.links for each in link.outcomes_of(attempt.lease_id)]
    work.expect_output(outcomes[0], {"held": 3_000})


@case
async def stops_its_work_before_the_session_ends(rig: Rig) -> None:
    """Cut off for longer than session_ttl_ms, it has ended its attempts, and gives them back afterwards."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    rig.dispatcher.welcome.session_ttl_ms = 3_000
    link = await rig.connect()
    attempt = work.hold(6_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    rig.dispatcher.answers_heartbeats = False
    rig.dispatcher.refuse = grpc.StatusCode.UNAVAILABLE
    await rig.let_time_pass(3_300)
    rig.dispatcher.refuse = None
    rig.dispatcher.answers_heartbeats = True
    again = await rig.dispatcher.link(2)
    if attempt.lease_id in again.hello.held_lease_ids:
        outcome = await again.outcome(attempt)
        assert isinstance(outcome, dispatch_pb2.Failed), "the attempt went on after the session's end"
    else:
        # As the engine does where the session has outlived it all.
        again.assign(attempt)
        work.expect_output(await again.outcome(attempt), {"held": 6_000})
