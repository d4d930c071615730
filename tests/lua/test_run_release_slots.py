"""run_release_slots: attempts go on, and others have their slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE, permit
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.world import World


async def _full(world: World, slots: int = 1) -> tuple[list[str], str]:
    """A worker whose slots are taken, and a run that waits for one."""
    await world.connect(slots=slots)
    taken = list(await world.running(slots))
    (waits,) = await world.submit()
    assert await world.match() == 0
    return taken, waits


async def _slots_used(world: World) -> int:
    (worker,) = await world.shard.workers.all(NAMESPACE)
    return worker.slots_used


async def test_what_waits_gets_the_slot_at_once(world: World) -> None:
    """The scheduler is woken for it; the attempt runs on under its lease."""
    (run,), waits = await _full(world)
    await world.shard.redis.delete(world.shard.keys.of("wake"))
    assert await world.release_slots(run) == 1
    assert (await world.look()).list("wake") == ["1"]
    assert await world.match() == 1
    assert await world.phases([run, waits]) == {Phase.RUNNING, Phase.LEASED}
    assert await world.complete(run, waits) == ["recorded", "recorded"]
    assert await _slots_used(world) == 0


async def test_saying_it_twice_gives_no_second_slot(world: World) -> None:
    """Nor does the attempt's end."""
    (run,), waits = await _full(world)
    await world.submit(5)
    for _ in range(2):
        assert await world.release_slots(run) == 1
    assert await world.match() == 1
    assert await world.complete(run) == ["recorded"]
    assert await world.match() == 0
    assert await world.phase(waits) == Phase.LEASED


async def test_all_slots_that_it_costs_are_given_up_in_its_pool(world: World) -> None:
    """And none of another pool."""
    costly = Demand(cost=3, pool="gpu")
    await world.connect(slots=1, pools={"gpu": 4})
    (run,) = await world.running(demand=costly)
    (plain,) = await world.running()
    (waits,) = await world.submit(demand=costly)
    assert await world.match() == 0
    await world.release_slots(run)
    assert await world.match() == 1
    assert await world.phase(waits) == Phase.LEASED
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert (worker.slots_used, worker.pools_used) == (1, {"gpu": 3})
    assert await world.complete(run, waits, plain) == ["recorded"] * 3


async def test_one_that_has_not_been_accepted_can_release_them_too(world: World) -> None:
    """Its accept may still be on the way."""
    (run,) = await world.leased()
    assert await world.release_slots(run) == 1


async def test_only_the_exact_lease_releases(world: World) -> None:
    """A lost one, one that has ended, and that of a run that is gone change nothing."""
    ((run, old),) = (await world.running()).items()
    await world.fail(run)
    await world.match()
    (ended,) = await world.running()
    await world.complete(ended)
    told = [(run, old), (ended, await world.lease(ended)), (world.mint()[0], old)]
    assert await world.shard.runs.release_slots(told) == 0
    assert await _slots_used(world) == 1
    assert await world.shard.runs.release_slots([]) == 0


async def test_permits_are_kept(world: World) -> None:
    """They count executions, and this one goes on."""
    await world.connect()
    run, waits = await world.submit(2, gates=[permit(most=1)])
    await world.match()
    await world.release_slots(run)
    assert await world.match() == 0
    await world.complete(run)
    await world.match()
    assert await world.phase(waits) == Phase.LEASED


async def _fail(world: World, run: str) -> None:
    await world.fail(run, "dead")


async def _retry(world: World, run: str) -> None:
    await world.fail(run, "retry", 60_000)


async def _hand_back(world: World, run: str) -> None:
    await world.fail(run, "release")
    await world.cancel(run)


async def _crash(world: World, run: str) -> None:
    await world.fail(run, "crash")
    await world.cancel(run)


async def _cancel(world: World, run: str) -> None:
    assert await world.cancel(run) == ["requested"]
    assert await world.complete(run) == ["recorded"]
    assert await world.phase(run) == Phase.CANCELLED


async def _complete(world: World, run: str) -> None:
    assert await world.complete(run) == ["recorded"]


@pytest.mark.parametrize("end", [_complete, _fail, _retry, _hand_back, _crash, _cancel])
async def test_however_it_ends_nothing_is_freed_twice(
    world: World, end: Callable[[World, str], Awaitable[None]]
) -> None:
    """One slot, one attempt in it, whatever becomes of the one that has none."""
    (run,), waits = await _full(world)
    await world.release_slots(run)
    await world.match()
    await world.submit(3)
    await end(world, run)
    assert await world.match() == 0
    assert await world.phase(waits) == Phase.LEASED
    assert await _slots_used(world) == 1


async def test_the_next_attempt_takes_slots_again(world: World) -> None:
    """What was given up was this attempt's."""
    (run,) = await world.running()
    await world.release_slots(run)
    await world.fail(run)
    await world.match()
    assert await _slots_used(world) == 1


@pytest.mark.parametrize("is_held", [True, False])
async def test_a_hello_takes_no_slots_again(world: World, *, is_held: bool) -> None:
    """Also where it is delivered anew; and a worker that comes back with fewer has what is left of them."""
    taken, waits = await _full(world, slots=2)
    await world.release_slots(taken[0])
    await world.match()
    leases = await world.leases(*taken, waits)
    held = list(leases.values()) if is_held else [leases[waits]]
    enrolled = await world.connect(slots=3, held=held)
    assert len(enrolled.again) == (0 if is_held else 2)
    assert await _slots_used(world) == 2
    await world.submit(2)
    assert await world.match() == 1
    assert await world.complete(*taken, waits) == ["recorded"] * 3


async def test_a_worker_that_leaves_keeps_it_until_its_session_expires(world: World) -> None:
    """It is held as before, so a drain waits for it."""
    (run,) = await world.running()
    await world.release_slots(run)
    await world.leave("w1", "draining")
    await world.leave("w1")
    assert [worker.state for worker in await world.shard.workers.all(NAMESPACE)] == ["g"]
    assert await world.complete(run) == ["recorded"]


async def test_a_worker_that_is_lost_loses_it_too(world: World) -> None:
    """It counts among the attempts that were there: with two of them nobody is charged."""
    taken, waits = await _full(world)
    await world.release_slots(*taken)
    await world.match()
    await world.expire_session("w1")
    assert await world.reap() == 2
    assert await world.phases([*taken, waits]) == {Phase.READY}
    await world.connect("w2", slots=1)
    await world.match()
    assert await _slots_used(world) == 1


async def test_one_that_is_alone_on_a_lost_worker_is_charged_a_crash(world: World) -> None:
    """With slots or without."""
    (run,) = await world.running()
    await world.release_slots(run)
    await world.expire_session("w1")
    assert await world.reap() == 1
    assert await world.field(run, "cr") == b"1"


async def test_a_worker_kept_for_a_costly_run_is_free_for_it_sooner(world: World) -> None:
    """And for nobody else before."""
    await world.connect(slots=3)
    first, second = await world.running(2)
    (costly,) = await world.submit(demand=Demand(cost=3))
    await world.match()
    await world.make_due("room")
    await world.fire()
    (small,) = await world.submit()
    await world.release_slots(first)
    assert await world.match() == 0
    await world.release_slots(second)
    assert await world.match() == 1
    assert (await world.phase(costly), await world.phase(small)) == (Phase.LEASED, Phase.READY)
