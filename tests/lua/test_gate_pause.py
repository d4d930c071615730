"""gate_pause: nothing more of a workflow or a queue is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase
from windlass_core.store.gates import Paused

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_paused_workflow_starts_nothing_and_others_go_on(world: World) -> None:
    """Neither what waits nor what comes, at any level."""
    before = await world.submit(2, level=4)
    assert await world.shard.gates.pause(NAMESPACE, workflows=["t"]) == [True]
    await world.connect(tasks=["t", "u"])
    after = await world.submit(2, leases=2)
    others = await world.submit(2, task="u", leases=2)
    await world.match()
    assert await world.phases([*before, *after]) == {Phase.READY}
    assert await world.phases(others) == {Phase.LEASED}


async def test_a_paused_queue_holds_back_all_workflows_in_it(world: World) -> None:
    """And of each only what is in that queue."""
    await world.shard.gates.pause(NAMESPACE, queues=["slow"])
    await world.connect(tasks=["t", "u"])
    held = [*await world.submit(queue="slow"), *await world.submit(task="u", queue="slow")]
    free = await world.submit(leases=1)
    await world.match()
    assert await world.phases(held) == {Phase.READY}
    assert await world.phases(free) == {Phase.LEASED}


async def test_what_runs_goes_on_and_its_retry_waits(world: World) -> None:
    """Pausing takes nothing back."""
    ends, fails = await world.running(2)
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    await world.complete(ends)
    await world.fail(fails)
    await world.match()
    assert await world.phase(ends) == Phase.COMPLETED
    assert await world.phase(fails) == Phase.READY


async def test_a_paused_run_can_be_cancelled_and_can_miss_its_start(world: World) -> None:
    """Its lane goes from the gate with the last one."""
    await world.shard.gates.pause(NAMESPACE, workflows=["t"])
    await world.connect()
    cancelled, missed = [*await world.submit(leases=1), *await world.submit(expires_ms=1_000)]
    await world.match()
    assert (await world.look()).keys_of("parked")
    await world.cancel(cancelled)
    await world.make_due("start")
    await world.fire()
    assert await world.phases([cancelled, missed]) == {Phase.CANCELLED}
    assert not (await world.look()).keys_of("parked")


async def test_pausing_again_changes_nothing(world: World) -> None:
    """Each name is answered for itself; what is paused can be asked for."""
    gates = world.shard.gates
    assert await gates.pause(NAMESPACE, workflows=["t"]) == [True]
    assert await gates.pause(NAMESPACE, workflows=["t", "u"], queues=["q"]) == [False, True, True]
    assert await gates.paused(NAMESPACE) == Paused(frozenset({"t", "u"}), frozenset({"q"}))
    assert await gates.paused("other") == Paused(frozenset(), frozenset())


async def test_another_namespace_is_not_paused(world: World) -> None:
    """Names mean nothing across namespaces."""
    await world.shard.gates.pause("other", workflows=["t"])
    await world.leased()
