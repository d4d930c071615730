"""runs_expire: deletes runs that ended longer ago than they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE, flow_of
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World

_DAY_MS = 24 * 3600 * 1000


async def test_what_ended_just_now_is_kept(world: World) -> None:
    """And so is all that has not ended, however old."""
    runs = await world.submit(3)
    await world.cancel(runs[0])
    assert await world.shard.runs.expire(_DAY_MS, 100) == (0, False)
    assert await world.shard.runs.expire(-1, 100) == (1, False)
    assert list((await world.look()).phases().values()) == [Phase.READY] * 2


async def test_all_that_belongs_to_a_run_goes_with_it(world: World) -> None:
    """Failures, log, stream, children, and its places in the lists."""
    (run,) = await world.running(api="a1")
    await world.submit(2, parent=run, task="other", delay_ms=60_000)
    await world.fail(run)
    await world.match()
    await world.shard.runs.log([(run, await world.lease(run), [b"line"])])
    await world.shard.runs.put_chunks([(run, await world.lease(run), [b"chunk"], 0)])
    await world.fail(run, "dead")
    assert await world.shard.runs.expire(-1, 100) == (1, False)
    assert await world.shard.runs.get(NAMESPACE, [run]) == [None]
    s = await world.look()
    assert not {"failures", "log", "stream", "children", "failed_by_time", "done"} & set(s.families)


async def test_a_parent_that_goes_on_forgets_its_expired_children(world: World) -> None:
    """It may spawn for ever."""
    (parent,) = await world.running()
    first, second = await world.submit(2, parent=parent, task="other")
    await world.cancel(first)
    assert await world.shard.runs.expire(-1, 100) == (1, False)
    assert (await world.look()).set(f"k:{parent}") == {second}
    await world.cancel(second)
    assert await world.shard.runs.expire(-1, 100) == (1, False)
    assert "children" not in (await world.look()).families


async def test_a_flow_goes_with_its_last_run(world: World) -> None:
    """Names of queues that are made up as one goes leave nothing behind, workers or not."""
    await world.connect(slots=1)
    runs = [run for number in range(5) for run in await world.submit(2, queue=f"tenant-{number}")]
    kept = await world.submit(queue="tenant-0")
    delayed = await world.submit(queue="tenant-1", delay_ms=60_000)
    await world.cancel(*runs)
    assert await world.shard.runs.expire(-1, 100) == (10, False)
    s = await world.look()
    flows = {flow_of(queue="tenant-0"), flow_of(queue="tenant-1")}
    assert set(s.hash(f"fl:{NAMESPACE}")) == flows
    assert {flow for (flow,) in s.keys_of("flow_groups").values()} == flows
    await world.cancel(*kept, *delayed)
    assert await world.shard.runs.expire(-1, 100) == (2, False)
    assert not {"flows", "flow_groups", "group_flows", "heads"} & set((await world.look()).families)


async def test_a_flow_that_comes_back_is_served(world: World) -> None:
    """By the groups that are there, and by those that come."""
    await world.connect("w1", slots=1)
    await world.cancel(*await world.submit())
    await world.shard.runs.expire(-1, 100)
    await world.submit(2)
    assert await world.match() == 1
    await world.connect("w2", slots=1, tasks=("t", "u"))
    assert await world.match() == 1


async def test_a_duplicate_does_not_count_for_its_flow(world: World) -> None:
    """The answer was lost, and the run submitted again."""
    (run,) = await world.submit()
    same = Submission(run, b"spec", flow_of(), 2, "v1")
    await world.shard.runs.submit(NAMESPACE, "a1", [], [same, same])
    await world.cancel(run)
    await world.shard.runs.expire(-1, 100)
    assert "flows" not in (await world.look()).families


async def test_the_oldest_go_first_and_in_pages(world: World) -> None:
    """No script works for long."""
    runs = await world.submit(25)
    await world.cancel(*runs)
    assert await world.shard.runs.expire(-1, 10) == (10, True)
    assert set((await world.look()).phases()) == set(runs[10:])
    assert await world.shard.runs.expire(-1, 10) == (10, True)
    assert await world.shard.runs.expire(-1, 10) == (5, False)
    assert await world.shard.runs.expire(-1, 10) == (0, False)


async def test_several_namespaces_share_the_list(world: World) -> None:
    """Each keeps its own index."""
    await world.submit(2)
    theirs = await world.submit(2, namespace="other")
    await world.connect(namespace="other")
    await world.match()
    await world.complete(*theirs)
    assert await world.shard.runs.expire(-1, 10) == (2, False)
    s = await world.look()
    assert "ix:other" not in s.values
    assert len(s.zset(f"ix:{NAMESPACE}")) == 2


async def test_an_expired_run_can_be_submitted_anew(world: World) -> None:
    """Its id is free; nothing remembers it."""
    (run,) = await world.submit()
    await world.cancel(run)
    await world.shard.runs.expire(-1, 10)
    assert await world.submit(ids=[run]) == [run]
    assert await world.phase(run) == Phase.READY


async def test_a_late_answer_of_an_expired_run_is_lost(world: World) -> None:
    """Nothing is made of it, and nothing is left."""
    ((run, lease),) = (await world.running()).items()
    await world.complete(run)
    await world.shard.runs.expire(-1, 10)
    assert await world.shard.runs.complete([(run, lease, b"1")]) == ["lease_lost"]
    assert await world.shard.runs.fail([(run, lease, "dead", 0, b"")]) == ["lease_lost"]
    assert await world.shard.runs.accept([(run, lease)]) == 0
    assert await world.shard.runs.log([(run, lease, [b"line"])]) == 0
    assert not (await world.look()).phases()
