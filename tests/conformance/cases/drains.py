"""SIGTERM: no new work, what runs is finished and acknowledged, then the process ends well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig
    from tests.conformance.worker_program import WorkerProgram
    from tests.support.worker_link import Link


@case
async def an_idle_worker_leaves(rig: Rig) -> None:
    """Without work it says Draining, ends its stream and exits with status 0."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    await rig.execute_for(link, 1)
    await _drain(rig, worker, link)
    await _expect_good_end(rig, worker)
    await link.end_of_stream()
    assert len(rig.dispatcher.links) == 1, "the worker connected again while it was leaving"


@case
async def running_work_is_finished(rig: Rig) -> None:
    """What executes is finished and reported before the process ends."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    attempt = work.hold(1_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    await _drain(rig, worker, link)
    work.expect_output(await link.outcome(attempt), {"held": 1_000})
    await _expect_good_end(rig, worker)


@case
async def new_work_is_handed_back(rig: Rig) -> None:
    """What is assigned to a draining worker all the same is handed back: failed, released."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    running, late = work.hold(2_000), work.echo()
    link.assign(running)
    await link.acceptance(running)
    await _drain(rig, worker, link)
    link.assign(late)
    outcome = await link.outcome(late)
    assert isinstance(outcome, dispatch_pb2.Failed), "expected failed, got completed"
    assert outcome.released, f"expected released, got a failure: {outcome.failure.message}"
    work.expect_output(await link.outcome(running), {"held": 2_000})
    await _expect_good_end(rig, worker)


@case
async def waits_for_its_acknowledgements(rig: Rig) -> None:
    """A worker does not leave before its results are acknowledged."""
    rig.dispatcher.acknowledges = False
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    attempt = work.echo()
    link.assign(attempt)
    await link.outcome(attempt)
    await _drain(rig, worker, link)
    await link.heartbeat(3)
    assert worker.status is None, "the process ended before its result was acknowledged"
    link.acknowledge(attempt.lease_id)
    await _expect_good_end(rig, worker)


@case
async def a_cut_does_not_end_the_drain(rig: Rig) -> None:
    """A draining worker whose stream breaks comes back, says in Hello that it drains, and finishes."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    attempt = work.hold(1_500)
    link.assign(attempt)
    await link.acceptance(attempt)
    await _drain(rig, worker, link)
    link = await rig.cut(link)
    assert link.hello.draining, "draining: expected true in the Hello of a worker that drains"
    work.expect_output(await link.outcome(attempt), {"held": 1_500})
    await _expect_good_end(rig, worker)


@case
async def a_second_signal_ends_it(rig: Rig) -> None:
    """A second SIGTERM ends the process at once, whatever executes."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    attempt = work.hold()
    link.assign(attempt)
    await link.acceptance(attempt)
    await _drain(rig, worker, link)
    asked_at = rig.now()
    worker.terminate()
    await rig.end_of(worker)
    seconds = rig.now() - asked_at
    assert seconds < 3, f"it ended only {seconds:.1f} s after the second signal"


async def _drain(rig: Rig, worker: WorkerProgram, link: Link) -> None:
    worker.terminate()
    await rig.until(lambda: link.draining, f"Draining (heard: {link})")


async def _expect_good_end(rig: Rig, worker: WorkerProgram) -> None:
    status = await rig.end_of(worker)
    assert status == 0, f"expected exit status 0, got {status}"
