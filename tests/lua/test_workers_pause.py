"""workers_pause: workers get no new work until they are resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand

if TYPE_CHECKING:
    from tests.support.world import World


async def _pause(world: World, *workers: str, pause: bool = True) -> list[str]:
    return await world.shard.workers.pause(NAMESPACE, workers, pause=pause)


async def test_a_paused_worker_keeps_what_it_has_and_gets_nothing_new(world: World) -> None:
    """Nor when a slot is freed, nor by a submit that matches at once."""
    (held,) = await world.running()
    assert await _pause(world, "w1") == []
    (waiting,) = await world.submit(leases=1)
    assert await world.match() == 0
    assert await world.complete(held) == ["recorded"]
    assert await world.match() == 0
    assert await _pause(world, "w1", pause=False) == []
    assert await world.match() == 1
    assert await world.phase(waiting) == Phase.LEASED


async def test_a_pause_outlives_connections(world: World) -> None:
    """But not the session: a worker that was given up has none when it comes back."""
    await world.connect()
    await _pause(world, "w1")
    await world.connect()
    await world.submit()
    assert await world.match() == 0
    await world.expire_session("w1")
    await world.reap()
    await world.connect()
    assert await world.match() == 1


async def test_others_take_what_a_paused_worker_does_not(world: World) -> None:
    """Also what would rather have gone to it; what is bound to it waits."""
    await world.connect("w1")
    await world.connect("w2")
    await _pause(world, "w1")
    (soft,) = await world.submit(demand=Demand(worker="w1"))
    (hard,) = await world.submit(demand=Demand(worker="w1", hard=True))
    await world.match()
    assert await world.phases([soft]) == {Phase.LEASED}
    assert await world.phases([hard]) == {Phase.READY}
    await _pause(world, "w1", pause=False)
    await world.match()
    assert await world.phases([hard]) == {Phase.LEASED}


async def test_pausing_all_its_pools(world: World) -> None:
    """A worker is paused as a whole."""
    await world.connect(pools={"gpu": 1})
    await _pause(world, "w1")
    await world.submit(demand=Demand(pool="gpu"))
    assert await world.match() == 0
    await _pause(world, "w1", pause=False)
    assert await world.match() == 1


async def test_of_one_that_is_not_there_nothing_is_changed(world: World) -> None:
    """Another namespace's is not there either."""
    await world.connect("w1")
    await world.connect("theirs", namespace="theirs")
    assert await _pause(world, "w1", "theirs", "nobody") == ["theirs", "nobody"]
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert not worker.paused
    await _pause(world, "w1")
    await _pause(world, "w1")
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert (worker.paused, worker.state) == (True, "a")
