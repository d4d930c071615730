"""timers_fire: does what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import flow_of
from windlass_core.domain.limits import STOP_GRACE_MS
from windlass_core.domain.phase import Phase
from windlass_core.store.scheduling import TIMERS_AT_ONCE
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    from tests.support.world import World


async def test_limits_below_a_second_are_kept_to_the_millisecond(world: World) -> None:
    """To start, to end, to try again."""
    (waiting,) = await world.submit(task="nobody", expires_ms=250)
    ((running, lease),) = (await world.running(timeout_ms=250)).items()
    s = await world.look()
    accepted, given = int(s.hash(f"r:{waiting}")["c"]), int(s.hash(f"r:{running}")["s"])
    assert s.zset("T") == {
        f"start:{waiting}": accepted + 250,
        f"stop:{running}:{lease}": given + 250 + STOP_GRACE_MS,
    }
    await world.fail(running, "retry", delay_ms=250)
    s = await world.look()
    (failure,) = await world.shard.runs.failures(running)
    assert s.zset("T")[f"ready:{running}"] == failure.failed_ms + 250


async def test_nothing_is_due(world: World) -> None:
    """Neither without timers nor before their time."""
    fired = await world.shard.scheduling.fire()
    assert (fired.count, fired.next_due_ms, fired.overdue) == (0, 0, [])
    (run,) = await world.submit(delay_ms=60_000)
    fired = await world.shard.scheduling.fire()
    assert fired.count == 0
    assert fired.next_due_ms > fired.now_ms
    assert await world.phase(run) == Phase.SCHEDULED


async def test_the_end_of_a_delay_makes_a_run_ready(world: World) -> None:
    """And has it matched."""
    await world.connect()
    (run,) = await world.submit(delay_ms=60_000)
    await world.make_due("ready")
    assert await world.fire() == 1
    assert await world.phase(run) == Phase.READY
    assert await world.match() == 1


async def test_the_end_of_a_backoff_makes_a_run_ready(world: World) -> None:
    """For its next attempt."""
    (run,) = await world.running()
    await world.fail(run, delay_ms=60_000)
    await world.make_due("ready")
    assert await world.fire() == 1
    await world.delivered()
    assert await world.match() == 1
    assert [attempt.number for _, attempt in await world.delivered()] == [2]


async def test_a_short_delay_is_over_by_itself(world: World) -> None:
    """One millisecond, by the store's clock."""
    (run,) = await world.submit(delay_ms=1)
    while (await world.shard.scheduling.fire()).count == 0:
        pass
    assert await world.phase(run) == Phase.READY


async def test_a_run_that_has_not_started_in_time_is_cancelled(world: World) -> None:
    """Whether it waits in its lane or for its delay."""
    runs = [*await world.submit(expires_ms=60_000, api="a1"), *await world.submit(expires_ms=60_000, delay_ms=90_000)]
    await world.make_due("start")
    assert await world.fire() == 2
    assert await world.phases(runs) == {Phase.CANCELLED}
    assert not (await world.look()).zset("T")
    ((_, _, _, _, reason, _),) = await world.outbox()
    assert b"time to start" in reason


async def test_delay_and_time_to_start_may_end_together(world: World) -> None:
    """The run ends, and nothing of it stays in its lane."""
    runs = await world.submit(3, delay_ms=10, expires_ms=20)
    kept = await world.submit(2, delay_ms=10)
    await world.make_due("ready")
    await world.make_due("start")
    assert await world.fire() == 8
    assert await world.phases(runs) == {Phase.CANCELLED}
    assert await world.phases(kept) == {Phase.READY}


async def test_a_child_may_be_ready_as_its_parent_is_cancelled(world: World) -> None:
    """Both timers in one call: the child ends, and nothing of it stays in its lane."""
    (parent,) = await world.running()
    (child,) = await world.submit(parent=parent, delay_ms=60_000, task="other")
    await world.cancel(parent)
    timers = world.shard.keys.of("timers")
    await world.shard.redis.zadd(timers, {f"ready:{child}": 1, f"kids:{parent}": 2})
    assert await world.fire() == 2
    assert await world.phase(child) == Phase.CANCELLED


async def test_a_retried_run_does_not_miss_its_start(world: World) -> None:
    """It has started once; what was given back has too."""
    (run,) = await world.leased(expires_ms=60_000)
    await world.fail(run, "release")
    await world.shard.redis.zadd(world.shard.keys.of("timers"), {f"start:{run}": 1})
    await world.fire()
    assert await world.phase(run) == Phase.READY


async def test_an_overdue_attempt_is_told_until_it_has_ended(world: World) -> None:
    """The caller decides by the run's policy; should it die first, the next one is told."""
    ((run, lease),) = (await world.running(timeout_ms=1_000)).items()
    for _ in range(2):
        await world.make_due("stop")
        fired = await world.shard.scheduling.fire()
        (overdue,) = fired.overdue
        assert (overdue.run_id, overdue.lease_id, overdue.attempt) == (run, lease, 1)
        assert (overdue.flow, overdue.version) == (flow_of(), "v1")
        assert fired.next_due_ms == fired.now_ms + 5_000
    await world.fail(run, "dead")
    assert not (await world.look()).zset("T")


async def test_overdue_attempts_are_told_in_few_bytes(world: World) -> None:
    """However large their specs are: whoever decides reads those one by one."""
    await world.connect(slots=20)
    await world.running(20, timeout_ms=1_000, spec=b"x" * 100_000)
    await world.make_due("stop")
    told = await world.shard.scheduling._scripts.call("timers_fire", TIMERS_AT_ONCE)
    assert len(pack(told)) < 20 * 500


async def test_an_overdue_attempt_that_was_taken_back_is_nobodys(world: World) -> None:
    """A timer of an older lease does nothing."""
    ((run, lease),) = (await world.running(timeout_ms=1_000)).items()
    await world.fail(run, "release")
    await world.shard.redis.zadd(world.shard.keys.of("timers"), {f"stop:{run}:{lease}": 1})
    fired = await world.shard.scheduling.fire()
    assert (fired.count, fired.overdue) == (1, [])


async def test_timers_of_runs_that_are_gone_are_dropped(world: World) -> None:
    """Nothing fails over them."""
    (run,) = world.mint()
    members = dict.fromkeys([f"ready:{run}", f"start:{run}", f"stop:{run}:{'0' * 32}", f"kids:{run}"], 1)
    await world.shard.redis.zadd(world.shard.keys.of("timers"), members)
    assert (await world.shard.scheduling.fire()).count == 4
    assert not (await world.look()).zset("T")


async def test_timers_fire_in_pages(world: World) -> None:
    """No script works for long."""
    runs = await world.submit(TIMERS_AT_ONCE + 50, delay_ms=60_000)
    await world.make_due("ready")
    assert (await world.shard.scheduling.fire()).count == TIMERS_AT_ONCE
    assert (await world.shard.scheduling.fire()).count == 50
    assert await world.phases(runs) == {Phase.READY}


async def test_children_of_many_parents_are_cancelled_in_pages(world: World) -> None:
    """So many per call, and not so many of each parent."""
    parents = list(await world.running(5))
    for parent in parents:
        await world.submit(100, parent=parent, task="other")
    await world.cancel(*parents)
    await world.shard.scheduling.fire()
    phases = (await world.look()).phases().values()
    assert sum(phase == Phase.CANCELLED for phase in phases) == 200
    await world.fire()
    phases = (await world.look()).phases().values()
    assert sum(phase == Phase.CANCELLED for phase in phases) == 500


async def test_a_new_first_timer_wakes_the_scheduler(world: World) -> None:
    """It sleeps until the one that it knows; a later one need not wake it."""
    wake = world.shard.keys.of("wake")
    await world.submit(delay_ms=60_000)
    assert await world.shard.redis.delete(wake) == 1
    await world.submit(delay_ms=90_000)
    assert await world.shard.redis.delete(wake) == 0
    await world.submit(delay_ms=30_000)
    assert await world.shard.redis.delete(wake) == 1
