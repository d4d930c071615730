"""What an attempt takes of a worker: slots, of which pool, and who is kept free for one that costs many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import flow_of
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World


async def test_an_attempt_takes_as_many_slots_as_it_costs(world: World) -> None:
    """And gives all of them back, however it ends."""
    await world.connect(slots=5)
    first, second, third = await world.submit(3, demand=Demand(cost=2))
    assert await world.match() == 2
    await world.complete(first)
    assert await world.phase(third) == Phase.LEASED
    await world.fail(second, "dead")
    await world.fail(third, "release")
    await world.submit(3)
    assert await world.match() == 4
    assert len((await world.look()).set("s:w1:default")) == 5


async def test_a_costly_run_blocks_nothing_behind_it(world: World) -> None:
    """Of a higher level and older: it waits for room, others take what there is."""
    (costly,) = await world.submit(demand=Demand(cost=3), level=4)
    plain = await world.submit(2)
    await world.connect(slots=2)
    assert await world.match() == 2
    assert await world.phases(plain) == {Phase.LEASED}
    assert await world.phase(costly) == Phase.READY


async def test_many_costly_flows_block_nothing_behind_them(world: World) -> None:
    """More of them than are looked at in one go."""
    runs = world.mint(301)
    batch = [
        Submission(run, b"spec", flow_of(f"t{place}", demand=demand), 2, "v1", more={"p": demand.entry()})
        for place, run in enumerate(runs[1:])
        for demand in [Demand(cost=2 + place)]
    ]
    await world.shard.runs.submit("default", "a1", [], batch)
    await world.submit(ids=runs[:1], task="t0")
    await world.connect(slots=1, tasks=[f"t{place}" for place in range(300)])
    assert await world.match() == 1
    assert await world.phase(runs[0]) == Phase.LEASED


async def test_small_runs_do_not_starve_a_costly_one(world: World) -> None:
    """After a while a worker is kept free for it, which gets no small ones until it has had room."""
    await world.connect("w1", slots=2)
    small = list(await world.leased(2))
    (costly,) = await world.submit(demand=Demand(cost=2))
    waiting = await world.submit(4)
    await world.complete(small[0])
    assert await world.phase(waiting[0]) == Phase.LEASED, "it is not kept at once"
    assert any(timer.startswith("room:") for timer in (await world.look()).zset("T"))
    await world.make_due("room")
    await world.fire()
    await world.complete(small[1])
    assert await world.phase(waiting[1]) == Phase.READY
    await world.complete(waiting[0])
    assert await world.phase(costly) == Phase.LEASED
    await world.complete(costly)
    await world.match()
    assert await world.phases(waiting[1:3]) == {Phase.LEASED}


async def test_no_worker_is_kept_for_what_none_can_take(world: World) -> None:
    """It waits; the others do not."""
    await world.connect(slots=2)
    (costly,) = await world.submit(demand=Demand(cost=3))
    first, *rest = await world.submit(4)
    await world.match()
    await world.make_due("room")
    await world.fire()
    await world.complete(first)
    assert await world.phase(rest[1]) == Phase.LEASED
    await world.connect("w-large", slots=3)
    await world.match()
    assert await world.phase(costly) in {Phase.LEASED, Phase.READY}


@pytest.mark.parametrize("how", ["cancel", "leave", "hello", "lost"])
async def test_keeping_a_worker_ends_with_its_reason(world: World, how: str) -> None:
    """The run is cancelled, or the worker goes: nobody waits for the slots that were kept."""
    await world.connect("w1", slots=2)
    first, second = await world.leased(2)
    (costly,) = await world.submit(demand=Demand(cost=2))
    (waiting,) = await world.submit()
    await world.complete(first)
    await world.complete(waiting)
    await world.submit(3)
    await world.match()
    await world.make_due("room")
    await world.fire()
    if how == "cancel":
        await world.cancel(costly)
    elif how == "leave":
        await world.leave("w1")
    elif how == "hello":
        await world.connect("w1", slots=1, held=[await world.lease(second)])
    else:
        await world.expire_session("w1")
        await world.reap()
    await world.make_due("room")
    await world.fire()
    s = await world.look()
    assert not any("rs" in s.hash(key) for key in s.keys_of("worker"))
    assert not any("rs" in s.hash(key) for key in s.keys_of("group"))


async def test_pools_are_counted_apart(world: World) -> None:
    """What fills one leaves room in the other."""
    await world.connect("w1", slots=2, pools={"gpu": 3})
    await world.submit(5, demand=Demand(pool="gpu"))
    await world.submit(5)
    assert await world.match() == 5
    s = await world.look()
    assert (len(s.set("s:w1:gpu")), len(s.set("s:w1:default"))) == (3, 2)


async def test_a_worker_without_the_pool_gets_nothing_of_it(world: World) -> None:
    """Until it comes back with it."""
    await world.submit(3, demand=Demand(pool="gpu", cost=2))
    await world.connect("w1")
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 5})
    assert await world.match() == 2
    held = list((await world.look()).hash("att:w1"))
    await world.connect("w1", held=held)
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 5}, held=held)
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 6}, held=held)
    assert await world.match() == 1


async def test_what_a_lost_worker_held_in_all_its_pools_comes_back(world: World) -> None:
    """And nothing is left of it."""
    await world.connect("w1", slots=2, pools={"gpu": 4})
    runs = [*await world.submit(2, demand=Demand(pool="gpu", cost=2)), *await world.submit(2)]
    await world.match()
    await world.expire_session("w1")
    assert await world.reap() == 4
    assert await world.phases(runs) == {Phase.READY}
    await world.connect("w2", slots=2, pools={"gpu": 4})
    assert await world.match() == 4
