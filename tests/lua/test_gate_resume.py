"""gate_resume: what was held back comes back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def test_what_waited_is_given_out_in_its_order(world: World) -> None:
    """The lanes come back by a timer, and stand in the heads again."""
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    await world.connect(slots=20)
    runs = [*await world.submit(3, level=4), *await world.submit(3), *await world.submit(3, level=1)]
    await world.match()
    assert await world.shard.gates.resume(NAMESPACE, workflows=["t"]) == [True]
    assert await world.fire() == 1
    await world.match()
    given = [attempt.run_id for _, attempt in await world.delivered()]
    # Every eighth claim goes to the oldest below: here the lanes are used up before.
    assert given == runs


async def test_what_nobody_looked_at_needs_no_timer(world: World) -> None:
    """A lane that never parked is still in its ring."""
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    runs = await world.submit(2)
    await world.shard.gates.resume(NAMESPACE, workflows=["t"])
    assert await world.fire() == 0
    await world.connect()
    await world.match()
    assert await world.phases(runs) == {Phase.LEASED}


async def test_a_pause_while_lanes_come_back_holds(world: World) -> None:
    """The timer finds the gate closed again, and the next resume brings them all."""
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    await world.connect()
    (run,) = await world.submit(leases=1)
    await world.shard.gates.resume(NAMESPACE, workflows=["t"])
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    await world.fire()
    await world.match()
    assert await world.phase(run) == Phase.READY
    await world.shard.gates.resume(NAMESPACE, workflows=["t"])
    await world.fire()
    await world.match()
    assert await world.phase(run) == Phase.LEASED


async def test_a_lane_behind_two_gates_waits_for_both(world: World) -> None:
    """It goes from the one to the other."""
    gates = world.shard.gates
    await gates.pause(NAMESPACE, workflows=["t"], queues=["default"])
    await world.connect()
    (run,) = await world.submit(leases=1)
    for opened in ({"workflows": ["t"]}, {"queues": ["default"]}):
        assert await world.phase(run) == Phase.READY
        await gates.resume(NAMESPACE, **opened)
        await world.fire()
        await world.match()
    assert await world.phase(run) == Phase.LEASED


async def test_many_lanes_come_back_in_pages(world: World) -> None:
    """250 queues of one workflow: 100 lanes per call."""
    await world.connect(slots=300)
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    runs = await world.submit_apart(250)
    await world.match()
    await world.shard.gates.resume(NAMESPACE, workflows=["t"])
    assert await world.fire() == 3
    await world.match()
    assert await world.phases(runs) == {Phase.LEASED}


async def test_resuming_what_goes_on_changes_nothing(world: World) -> None:
    """Each name is answered for itself."""
    await world.shard.gates.pause(NAMESPACE, queues=["a"])
    assert await world.shard.gates.resume(NAMESPACE, workflows=["t"], queues=["a"]) == [False, True]
