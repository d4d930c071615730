"""Attempts that give up their slots and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@optional_case("release-slot")
async def a_slot_given_up_is_free(rig: Rig) -> None:
    """The engine is told at once, the worker has room for others, and the attempt is held as before."""
    link = await rig.connect(slots=1)
    attempt = work.release()
    link.assign(attempt)
    told = await link.slot_release(attempt)
    assert told.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {told.run_id!r}"
    await rig.execute_for(link, 1)
    held = list((await link.heartbeat()).lease_ids)
    assert attempt.lease_id in held, "the heartbeat does not name an attempt that has given up its slot"
    link.cancel(attempt.lease_id)
    await link.outcome(attempt)


@optional_case("release-slot")
async def a_slot_given_up_is_told_again(rig: Rig) -> None:
    """After a Welcome it is said again of what executes and has given up its slot; of nothing else."""
    link = await rig.connect()
    going, ended, other = work.release(), work.release(1), work.hold()
    link.assign(going, ended, other)
    await link.slot_release(going)
    work.expect_output(await link.outcome(ended), {"held": 1})
    await link.acceptance(other)
    link = await rig.cut(link)
    await link.slot_release(going)
    await rig.execute_for(link, 1)
    leases = {each.lease_id for each in link.slot_releases}
    assert leases == {going.lease_id}, f"released_slots: expected the one that goes on without, got {len(leases)}"
