"""Runs that are bound to one worker and get no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.takers import needs, takers
from tests.support.world import flow_of
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World


_HARD = Demand(worker="w1", hard=True)


async def test_a_run_bound_to_a_worker_waits_for_it(world: World) -> None:
    """However free the others are."""
    await world.connect("w1", slots=1)
    await world.connect("w2", slots=9)
    first, second = await world.submit(2, demand=_HARD)
    await world.submit()
    assert await world.match() == 2
    assert await takers(world) in (["w1", "w2"], ["w2", "w1"])
    await world.complete(first)
    assert await world.phase(second) == Phase.LEASED
    assert await takers(world) == ["w1"]


async def test_bound_runs_and_others_share_the_slots_of_the_worker(world: World) -> None:
    """Its own group shows no more than there is."""
    await world.connect("w1", slots=3)
    await world.submit(2, demand=_HARD)
    await world.submit(5)
    assert await world.match() == 3
    assert len((await world.look()).set("s:w1:default")) == 3


@pytest.mark.parametrize("pool", ["default", "gpu"])
async def test_a_run_for_a_worker_that_is_not_there_is_refused(world: World, pool: str) -> None:
    """And nothing of it is stored; one that is there already is told as such."""
    await world.connect("w2")
    demand = Demand(worker="w1", hard=True, pool=pool)
    refused = Submission(world.mint()[0], b"spec", flow_of(demand=demand), 2, "v1", more={"p": demand.entry()})
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "no_worker"}
    s = await world.look()
    assert not s.keys_of("run")
    assert not s.keys_of("flows")
    await world.connect("w1")
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {}
    await world.expire_session("w1")
    await world.reap()
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "duplicate"}


async def test_a_worker_of_another_namespace_is_not_there(world: World) -> None:
    """Ids are not told across namespaces."""
    await world.connect("w1", namespace="theirs")
    refused = Submission(world.mint()[0], b"spec", flow_of(demand=_HARD), 2, "v1", more={"p": _HARD.entry()})
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "no_worker"}


async def test_bound_runs_fail_once_the_worker_is_gone_for_good(world: World) -> None:
    """Those that wait, those that it held, and those that become ready later; each tells why."""
    await world.connect("w1", slots=1)
    (held,) = await world.running(demand=_HARD, api="a1")
    waiting = await world.submit(120, demand=_HARD, level=3)
    (later,) = await world.submit(demand=_HARD, delay_ms=60_000)
    (other,) = await world.submit()
    await world.leave("w1")
    assert await world.match() == 0
    assert await world.phases(waiting) == {Phase.READY}, "it may come back"
    await world.expire_session("w1")
    await world.reap()
    await world.match()
    assert await world.phases([held, *waiting]) == {Phase.FAILED}
    assert await world.phases([later]) == {Phase.SCHEDULED}
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await world.phase(later) == Phase.FAILED
    assert await world.phase(other) == Phase.READY
    (failure,) = await world.shard.runs.failures(later)
    assert (failure.worker_id, failure.body) == ("w1", b"gone")


async def test_nothing_is_left_of_a_worker_that_runs_were_bound_to(world: World) -> None:
    """Its own group goes with the last such run."""
    await world.connect("w1", pools={"gpu": 1})
    runs = [
        *await world.submit(2, demand=_HARD),
        *await world.submit(demand=Demand(worker="w1", hard=True, pool="gpu")),
    ]
    await world.match()
    await world.leave("w1", "draining")
    await world.complete(*runs)
    await world.leave("w1")
    assert (await world.look()).keys_of("group")
    await world.shard.runs.expire(-1, 10)
    assert not (await world.look()).keys_of("group")


async def test_a_worker_that_comes_back_after_it_was_given_up_gets_its_runs_again(world: World) -> None:
    """What had failed meanwhile has."""
    await world.connect("w1")
    (first,) = await world.submit(demand=_HARD, delay_ms=60_000)
    await world.expire_session("w1")
    await world.reap()
    await world.connect("w1")
    (second,) = await world.submit(demand=_HARD)
    await world.make_due("ready")
    await world.fire()
    assert await world.match() == 2
    assert await world.phases([first, second]) == {Phase.LEASED}


async def test_a_worker_that_comes_back_without_a_pool_is_waited_for_anew(world: World) -> None:
    """What was bound to it there has failed; what comes now waits for the pool."""
    demand = Demand(worker="w1", hard=True, pool="gpu")
    await world.connect("w1", pools={"gpu": 1})
    (before,) = await world.submit(demand=demand)
    await world.expire_session("w1")
    await world.reap()
    await world.connect("w1")
    await world.match()
    (after,) = await world.submit(demand=demand)
    await world.match()
    assert [await world.phase(before), await world.phase(after)] == [Phase.FAILED, Phase.READY]
    await world.connect("w1", pools={"gpu": 1})
    await world.match()
    assert await world.phase(after) == Phase.LEASED


async def test_a_bound_run_waits_until_its_worker_can_take_it(world: World) -> None:
    """Comes back with the task, the label, the pool."""
    await world.connect("w1", tasks=["other"])
    demand = Demand(worker="w1", hard=True, pool="gpu", labels=needs("l", "1").labels)
    (run,) = await world.submit(demand=demand)
    assert await world.match() == 0
    await world.connect("w1", labels={"l": "1"})
    assert await world.match() == 0
    await world.connect("w1", labels={"l": "1"}, pools={"gpu": 1})
    assert await world.match() == 1
    assert await world.phase(run) == Phase.LEASED


async def test_costly_bound_runs_are_kept_room_for(world: World) -> None:
    """The small ones of the worker's other group would starve them."""
    await world.connect("w1", slots=2)
    small = await world.submit(5)
    await world.match()
    (costly,) = await world.submit(demand=Demand(worker="w1", hard=True, cost=2))
    await world.complete(small[0])
    await world.make_due("room")
    await world.fire()
    await world.complete(small[1])
    await world.complete(small[2])
    await world.match()
    assert await world.phase(costly) == Phase.LEASED
    await world.complete(costly)
    await world.match()
    assert await world.phases(small[3:]) == {Phase.LEASED}
