"""worker_relabel: a worker has other labels while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand, Label

if TYPE_CHECKING:
    from tests.support.world import World


def _needs(value: str, **more: str | bool) -> Demand:
    """A demand of the label `model`."""
    return Demand(labels=(Label("model", 1, value, 0),), **more)  # type: ignore[arg-type] # its fields


async def test_what_waits_for_the_label_is_matched_at_once(world: World) -> None:
    """The scheduler is woken for it."""
    await world.connect()
    (picky,) = await world.submit(demand=_needs("a"))
    assert await world.match() == 0
    await world.shard.redis.delete(world.shard.keys.of("wake"))
    assert await world.relabel("w1", {"model": "a"})
    assert (await world.look()).list("wake") == ["1"]
    assert await world.match() == 1
    assert await world.phase(picky) == Phase.LEASED


async def test_what_asks_for_the_former_label_is_not_its_any_more(world: World) -> None:
    """It goes to a worker that has it."""
    await world.connect(labels={"model": "a"})
    await world.relabel("w1", {"model": "b"})
    await world.submit(demand=_needs("a"))
    await world.submit(demand=_needs("b"))
    assert await world.match() == 1
    await world.connect("w2", labels={"model": "a"})
    await world.match()
    assert [worker for worker, _ in await world.delivered()] == ["w1", "w2"]


async def test_it_keeps_its_leases_and_slots(world: World) -> None:
    """Its attempts go on and end as ever; nothing is given out twice."""
    await world.connect(slots=2, labels={"model": "a"})
    (run,) = await world.running(demand=_needs("a"))
    await world.submit(5)
    await world.relabel("w1", {"model": "b"})
    assert await world.match() == 1
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert worker.slots_used == 2
    assert await world.complete(run) == ["recorded"]


async def test_the_group_of_the_former_labels_goes_with_its_last_worker(world: World) -> None:
    """Others stay in it."""
    await world.connect("w1", labels={"model": "a"})
    await world.connect("w2", labels={"model": "a"})
    await world.relabel("w1", {"model": "b"})
    assert len((await world.look()).families["group"]) == 2
    await world.relabel("w2", {"model": "b"})
    assert len((await world.look()).families["group"]) == 1


async def test_pools_have_groups_of_their_own(world: World) -> None:
    """They move too."""
    await world.connect(pools={"gpu": 2})
    await world.submit(demand=_needs("a", pool="gpu"))
    assert await world.match() == 0
    await world.relabel("w1", {"model": "a"})
    assert await world.match() == 1


async def test_what_is_bound_to_the_worker_sees_its_new_labels(world: World) -> None:
    """One that demands a label besides waits until the worker has it."""
    await world.connect()
    await world.submit(demand=_needs("a", worker="w1", hard=True))
    assert await world.match() == 0
    await world.relabel("w1", {"model": "a"})
    assert await world.match() == 1


async def test_a_worker_that_takes_no_work_takes_none_with_other_labels(world: World) -> None:
    """Paused, or draining: it stays so."""
    await world.connect("w1")
    await world.connect("w2")
    await world.shard.workers.pause(NAMESPACE, ["w1"], pause=True)
    await world.leave("w2", "draining")
    await world.submit(demand=_needs("a"))
    for worker in ("w1", "w2"):
        await world.relabel(worker, {"model": "a"})
    assert await world.match() == 0
    await world.shard.workers.pause(NAMESPACE, ["w1"], pause=False)
    assert await world.match() == 1


async def test_a_worker_kept_for_a_costly_run_is_kept_no_more(world: World) -> None:
    """It may not be one for it: the group that it leaves looks for another."""
    await world.connect(slots=2)
    await world.running()
    await world.submit(demand=Demand(cost=2))
    await world.match()
    await world.make_due("room")
    await world.fire()
    assert "rs" in (await world.look()).hash("w:w1")
    await world.relabel("w1", {"model": "a"})
    assert "rs" not in (await world.look()).hash("w:w1")


async def test_only_the_connection_that_counts_can_say_so(world: World) -> None:
    """The newer one has said all in its Hello."""
    await world.connect()
    former = world._enrolments["w1"]
    await world.connect(labels={"model": "b"})
    before = await world.look()
    assert not await world.shard.workers.relabel(former)
    assert (await world.look()).hash("w:w1") == before.hash("w:w1")


async def test_a_worker_that_is_gone_has_no_labels(world: World) -> None:
    """Nothing comes of it."""
    await world.connect()
    await world.expire_session("w1")
    await world.reap()
    assert not await world.relabel("w1", {"model": "a"})
    assert not (await world.look()).families.get("worker")
