"""assign: matches ready runs with free slots."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE, World, flow_of
from windlass_core.domain.phase import Phase
from windlass_core.randomness import mint_ids
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard


async def _order(world: World) -> list[str]:
    """The runs that dispatcher d1 was given, in their order."""
    return [attempt.run_id for _, attempt in await world.delivered()]


async def test_runs_are_given_out_first_come_first_served(world: World) -> None:
    """Within one lane exactly, over several submits."""
    runs = [run for _ in range(5) for run in await world.submit(7)]
    await world.connect(slots=35)
    assert await world.match() == 35
    assert await _order(world) == runs


async def test_a_worker_gets_no_more_than_its_slots(world: World) -> None:
    """The rest waits until one is free."""
    await world.connect(slots=3)
    runs = await world.submit(5)
    assert await world.match() == 3
    assert await world.match() == 0
    assert len(await world.delivered()) == 3
    await world.complete(runs[0])
    assert len(await world.delivered()) == 1


async def test_the_freest_worker_is_given_work_first(world: World) -> None:
    """Load spreads over the workers alike."""
    await world.connect("w1", slots=4)
    await world.connect("w2", slots=8)
    await world.submit(1)
    await world.match()
    assert [worker for worker, _ in await world.delivered()] == ["w2"]


async def test_many_runs_spread_over_all_workers(world: World) -> None:
    """1,000 runs for three workers, until everything is full."""
    for worker in ("w1", "w2", "w3"):
        await world.connect(worker, slots=300)
    await world.submit(1000)
    assert await world.match() == 900
    assert Counter(worker for worker, _ in await world.delivered()) == {"w1": 300, "w2": 300, "w3": 300}


async def test_a_worker_gets_only_what_it_can_run(world: World) -> None:
    """Tasks and queues decide; a worker without queues serves them all."""
    a1 = await world.submit(task="a", queue="q1")
    a2 = await world.submit(task="a", queue="q2")
    b1 = await world.submit(task="b", queue="q1")
    await world.connect("w-a-q1", tasks=["a"], queues=["q1"])
    await world.match()
    assert await _order(world) == a1
    await world.connect("w-b", tasks=["b"])
    await world.match()
    assert await _order(world) == b1
    await world.connect("w-all", tasks=["a", "b"])
    await world.match()
    assert await _order(world) == a2


async def test_a_namespace_gives_no_work_to_the_workers_of_another(world: World) -> None:
    """Not even for tasks of one name."""
    (run,) = await world.submit(namespace="theirs")
    await world.connect()
    assert await world.match() == 0
    await world.connect("their-worker", namespace="theirs")
    assert await world.match() == 1
    assert await _order(world) == [run]


async def test_higher_levels_come_first(world: World) -> None:
    """Whatever was submitted before, and across tasks."""
    low = await world.submit(task="a", level=1)
    medium = await world.submit(task="b", level=2)
    high = await world.submit(task="a", level=3)
    critical = await world.submit(task="b", level=4)
    await world.connect(tasks=["a", "b"])
    await world.match()
    assert await _order(world) == [*critical, *high, *medium, *low]


async def test_every_eighth_claim_goes_to_the_oldest_below(world: World) -> None:
    """Nothing starves below a level that is never empty."""
    (old,) = await world.submit(level=1)
    (older,) = await world.submit(level=2, task="other")
    await world.shard.redis.zadd(world.shard.keys.of("lane", lane=f"{flow_of('other')}/2"), {older: 1})
    await world.submit(40, level=4)
    await world.connect(slots=1, tasks=["t", "other"])
    claimed = []
    for _ in range(16):
        await world.match()
        (run,) = await _order(world)
        claimed.append(run)
        await world.complete(run)
    assert claimed.index(older) == 7
    assert claimed.index(old) == 15


@pytest.mark.parametrize("levels", [(3,), (2, 3, 4)])
async def test_low_work_finishes_under_a_steady_load_above_it(world: World, levels: tuple[int, ...]) -> None:
    """One claim of eight, however much comes above, and in how many levels."""
    low = await world.submit(10, level=1)
    await world.connect(slots=1, tasks=["t", "above"])
    above = {run: level for level in levels for run in await world.submit(2, level=level, task="above")}
    left, executed = set(low), 0
    while left:
        await world.match()
        for run in await _order(world):
            await world.complete(run)
            left.discard(run)
            executed += 1
            if level := above.get(run):  # none of them is ever empty
                above |= dict.fromkeys(await world.submit(level=level, task="above"), level)
        assert executed <= 8 * len(low) + 8
    assert executed >= 8 * len(low) - 8


async def test_the_aged_claim_falls_back_to_the_top(world: World) -> None:
    """Where nothing waits below."""
    runs = await world.submit(10, level=3)
    await world.connect(slots=1)
    for run in runs:
        await world.match()
        assert await _order(world) == [run]
        await world.complete(run)


async def test_flows_of_one_level_share(world: World) -> None:
    """The flow whose head waits longest is next, so a long queue does not block a short one."""
    first = await world.submit(100, task="a")
    second = await world.submit(2, task="b")
    for run in second:
        await world.shard.redis.zadd(world.shard.keys.of("lane", lane=f"{flow_of('b')}/2"), {run: 1})
    await world.connect(slots=40, tasks=["a", "b"])
    await world.match()
    order = await _order(world)
    assert order[:2] == second
    assert order[2:] == first[:38]


async def test_what_is_given_back_is_the_oldest_over_all_flows(world: World) -> None:
    """Its flow has younger runs, and another one has had the oldest in the meantime."""
    await world.connect(slots=1)
    first, second, third = runs = world.mint(3)
    queues = ("busy", "other", "busy")
    batch: list[Submission] = [
        Submission(run, b"spec", flow_of(queue=queue), 2, "v1") for run, queue in zip(runs, queues, strict=True)
    ]
    await world.shard.runs.submit(NAMESPACE, "a1", [], batch)
    await world.match()
    assert await _order(world) == [first]
    await world.fail(first, "release")
    await world.match()
    assert await _order(world) == [first]
    await world.complete(first)
    await world.match()
    assert await _order(world) == [second]
    await world.complete(second)
    assert await _order(world) == [third]


async def test_a_flow_that_came_before_its_workers_is_found(world: World) -> None:
    """And one that came after them, at every level."""
    for level in range(1, 5):
        await world.submit(level=level, task="before")
    await world.connect(tasks=["before", "after"], slots=20)
    for level in range(1, 5):
        await world.submit(level=level, task="after")
    assert await world.match() == 8


async def test_the_workers_of_a_dead_dispatcher_are_skipped(world: World) -> None:
    """Whether it said goodbye or just fell silent."""
    await world.shard.processes.beat("dispatcher", "d2", "127.0.0.1:3", 60_000)
    await world.connect("w1", slots=10, dispatcher="d1")
    await world.connect("w2", slots=5, dispatcher="d2")
    await world.lapse("dispatcher", "d1")
    await world.submit(7)
    assert await world.match() == 5
    assert await world.delivered("d1") == []
    assert {worker for worker, _ in await world.delivered("d2")} == {"w2"}


async def test_a_worker_whose_dispatcher_died_gets_work_once_it_is_back(world: World) -> None:
    """Its Hello through another one."""
    await world.connect("w1")
    await world.lapse("dispatcher", "d1")
    await world.submit(3)
    assert await world.match() == 0
    await world.shard.processes.beat("dispatcher", "d2", "127.0.0.1:3", 60_000)
    await world.connect("w1", dispatcher="d2")
    assert await world.match() == 3


async def test_a_round_gives_out_as_much_as_it_has_leases(world: World) -> None:
    """And says that there is more."""
    await world.connect(slots=100)
    await world.submit(30)
    first = await world.shard.scheduling.assign(mint_ids(20), b"gone")
    assert (first.given, first.more) == (20, True)
    second = await world.shard.scheduling.assign(mint_ids(20), b"gone")
    assert (second.given, second.more) == (10, False)


async def test_a_round_without_work_does_nothing(world: World) -> None:
    """No group, no lease, no timer."""
    assigned = await world.shard.scheduling.assign(mint_ids(5), b"gone")
    assert (assigned.given, assigned.more, assigned.next_due_ms) == (0, False, 0)
    await world.connect()
    await world.submit(2)
    none = await world.shard.scheduling.assign([], b"gone")
    assert (none.given, none.more) == (0, True)


async def test_a_round_tells_the_next_timer(world: World) -> None:
    """The scheduler sets its alarm by it."""
    (run,) = await world.submit(delay_ms=5_000)
    assigned = await world.shard.scheduling.assign([], b"gone")
    due = (await world.look()).zset("T")[f"ready:{run}"]
    assert assigned.next_due_ms == due
    assert 0 < assigned.next_due_ms - assigned.now_ms <= 5_000


async def test_an_attempt_has_a_time_to_stop(world: World) -> None:
    """The execution timeout, and a grace in which the worker itself may say so."""
    ((run, lease),) = (await world.leased(timeout_ms=1_000)).items()
    s = await world.look()
    assert s.zset("T") == {f"stop:{run}:{lease}": int(s.hash(f"r:{run}")["s"]) + 6_000}


async def test_a_started_run_no_longer_has_a_time_to_start(world: World) -> None:
    """The schedule timeout ends with the first claim."""
    await world.leased(expires_ms=60_000)
    assert not (await world.look()).zset("T")


async def test_a_run_of_a_cancelled_lane_is_not_given_out(world: World) -> None:
    """What was cancelled while it waited is no longer there."""
    first, second, third = await world.submit(3)
    await world.cancel(second)
    await world.connect()
    await world.match()
    assert await _order(world) == [first, third]


@pytest.mark.parametrize("how", ["gone", "draining"])
async def test_a_worker_that_leaves_gets_nothing(world: World, how: str) -> None:
    """From the moment on that it said so."""
    await world.connect()
    assert await world.leave("w1", how) == 1
    (run,) = await world.submit()
    assert await world.match() == 0
    assert await world.phase(run) == Phase.READY


async def test_several_groups_are_served_in_one_round(world: World) -> None:
    """Each with its own work."""
    for i in range(6):
        await world.connect(f"w{i}", tasks=[f"t{i}"], slots=5)
        await world.submit(5, task=f"t{i}")
    assert await world.match() == 30
    by_worker = Counter(worker for worker, _ in await world.delivered())
    assert by_worker == {f"w{i}": 5 for i in range(6)}


async def test_two_groups_share_a_flow(world: World) -> None:
    """Workers with more tasks and workers with fewer."""
    await world.connect("narrow", tasks=["a"], slots=5)
    await world.connect("broad", tasks=["a", "b"], slots=5)
    await world.submit(20, task="a")
    assert await world.match() == 10
    assert await world.submit(1, task="b")
    assert await world.match() == 0


async def test_runs_of_one_batch_keep_their_order(world: World) -> None:
    """Whatever their ids are: they were accepted at one time."""
    await world.connect(slots=50)
    runs = await world.submit(ids=sorted(world.mint(50), reverse=True))
    await world.match()
    assert await _order(world) == runs


async def test_runs_of_one_millisecond_keep_their_order(shard: Shard) -> None:
    """Over several submits, that come one right after the other."""
    world = World(shard)
    runs = [run for _ in range(100) for run in await world.submit(7)]
    assert list((await world.look()).zset(f"q:{flow_of()}/2")) == runs
