"""Concurrency keys: who holds permits, and who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.permits import permits_out, under_way
from tests.support.world import World, permit
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard


async def test_no_more_run_at_a_time_than_a_key_has_permits(world: World) -> None:
    """Though there are slots; the next ones come as permits come back, first come first served."""
    await world.connect(slots=50)
    runs = await world.submit(6, gates=[permit(most=2)])
    assert await world.match() == 2
    for first in (0, 2, 4):
        assert await under_way(world, *runs) == runs[first : first + 2]
        await world.complete(*runs[first : first + 2])
    assert await world.phases(runs) == {Phase.COMPLETED}
    assert not (await world.look()).keys_of("permits")


async def test_a_small_submit_passes_gates_at_once(world: World) -> None:
    """As a plain one is matched with free slots in the call that stores it."""
    await world.connect()
    runs = await world.submit(3, gates=[permit(most=2)], leases=3)
    assert await under_way(world, *runs) == runs[:2]


async def test_a_run_with_gates_is_read_like_any_other(world: World) -> None:
    """Its priority level too, before and after its start."""
    await world.connect()
    runs = await world.submit(2, gates=[permit(level="w")], level=3, leases=2)
    assert [run and run.level for run in await world.shard.runs.get("default", runs)] == [3, 3]


async def test_keys_do_not_hold_each_other_up(world: World) -> None:
    """Each value has permits of its own, and what has no gates needs none."""
    await world.connect(slots=50)
    for value in "abc":
        await world.submit(5, gates=[permit(value)])
    plain = await world.submit(5)
    await world.match()
    assert await permits_out(world) == {"a": 1, "b": 1, "c": 1}
    assert await under_way(world, *plain) == plain


async def test_all_permits_or_none(world: World) -> None:
    """What waits for one key holds no permit of another."""
    await world.connect(slots=50)
    both = [permit("a"), permit("b", level="w")]
    (first,) = await world.submit(gates=[permit("b", level="w")], leases=1)
    (second,) = await world.submit(gates=both, leases=1)
    assert await permits_out(world) == {"b": 1}
    (third,) = await world.submit(gates=[permit("a")], leases=1)
    assert await under_way(world, first, second, third) == [first, third]
    await world.complete(first)
    assert await under_way(world, second) == []
    await world.complete(third)
    assert await under_way(world, second) == [second]


async def test_a_permit_goes_on_to_the_next_that_can_use_it(world: World) -> None:
    """A lane that comes back and parks at another gate wakes the next one at the first."""
    await world.connect(slots=50)
    (holds_a,) = await world.submit(gates=[permit("a")], leases=1)
    (holds_b,) = await world.submit(gates=[permit("b", level="w")], leases=1)
    (needs_both,) = await world.submit(gates=[permit("a"), permit("b", level="w")], leases=1)
    (needs_a,) = await world.submit(gates=[permit("a")], leases=1)
    await world.complete(holds_a)
    assert await under_way(world, needs_both, needs_a) == [needs_a]
    await world.complete(holds_b, needs_a)
    assert await under_way(world, needs_both) == [needs_both]


async def test_a_permit_goes_on_when_the_lane_that_came_back_goes(world: World) -> None:
    """The run that was next is cancelled before anybody matches it."""
    await world.connect()
    (holder,) = await world.submit(gates=[permit(level="w")], leases=1)
    await world.fail(holder, delay_ms=9_000)
    (next_one,) = await world.submit(gates=[permit(level="w"), permit("b")], leases=1)
    (after_it,) = await world.submit(gates=[permit(level="w")], leases=1)
    await world.cancel(holder)
    assert len((await world.look()).zset("gw:c:default|t|w0|k")) == 1
    await world.cancel(next_one)
    await world.match()
    assert await under_way(world, after_it) == [after_it]


async def test_a_free_worker_is_not_kept_waiting_by_lanes_that_nobody_serves(world: World) -> None:
    """Twenty queues without workers wait at the key before one that has some."""
    await world.connect(slots=1, queues=["q"])
    await world.connect("w2", slots=50, queues=[f"q{place}" for place in range(20)])
    (holder,) = await world.submit(queue="q", gates=[permit()], leases=1)
    for place in range(20):
        await world.submit(queue=f"q{place}", gates=[permit()], leases=1)
    await world.connect("w3", slots=1, queues=["q"])
    (last,) = await world.submit(queue="q", gates=[permit()], leases=1)
    await world.expire_session("w2")
    await world.reap()
    assert len((await world.look()).zset("gw:c:default|t|t0|k")) == 21
    await world.complete(holder)
    await world.fire()
    await world.match()
    assert await under_way(world, last) == [last]


@pytest.mark.parametrize(("level", "kept"), [("t", 0), ("w", 1)])
async def test_a_backoff_keeps_a_runs_permit_and_not_an_attempts(world: World, level: str, kept: int) -> None:
    """Another run may go meanwhile, or may not."""
    await world.connect()
    first, second = await world.submit(2, gates=[permit(level=level)], leases=2)
    await world.fail(first, delay_ms=9_000)
    assert await permits_out(world) == ({"k": 1} if kept else {})
    await world.match()
    assert await under_way(world, second) == [second][kept:]
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await under_way(world, first, second) == [[second], [first]][kept]
    assert await permits_out(world) == {"k": 1}
    await world.complete(*await under_way(world, first, second))
    await world.match()
    await world.complete(*await under_way(world, first, second))
    assert await world.phases([first, second]) == {Phase.COMPLETED}


@pytest.mark.parametrize("verdict", ["retry", "release", "crash", "among"])
@pytest.mark.parametrize("level", ["t", "w"])
async def test_a_retry_at_once_never_takes_a_permit_twice(world: World, verdict: str, level: str) -> None:
    """However its attempt ended."""
    await world.connect()
    first, second = await world.submit(
        2, gates=[permit(level=level), permit("other", 5, level=level, place=1)], leases=2
    )
    await world.fail(first, verdict)
    await world.match()
    assert await permits_out(world) == {"k": 1, "other": 1}
    # Ready since now, it stands behind the other.
    waits = verdict == "retry" and level == "t"
    assert await under_way(world, first, second) == [second if waits else first]


@pytest.mark.parametrize("level", ["t", "w"])
async def test_permits_of_a_lost_worker_come_back(world: World, level: str) -> None:
    """With its attempts: the run goes on, under the one permit."""
    await world.connect("w1", slots=5)
    runs = await world.submit(3, gates=[permit(level=level)])
    await world.match()
    await world.shard.runs.accept([(runs[0], await world.lease(runs[0]))])
    await world.expire_session("w1")
    await world.reap()
    assert await permits_out(world) == ({"k": 1} if level == "w" else {})
    await world.connect("w2", slots=5)
    await world.match()
    assert await under_way(world, *runs) == [runs[0]]
    assert await permits_out(world) == {"k": 1}


@pytest.mark.parametrize("level", ["t", "w"])
async def test_every_end_gives_permits_back(world: World, level: str) -> None:
    """Completed, failed for good, cancelled at work, cancelled while it waits for its retry, start missed."""
    await world.connect(slots=9)
    gates = [permit(level=level)]
    completed, failed, stopped, waiting, missed = (*await world.submit(4, gates=gates), "")
    (missed,) = await world.submit(gates=gates, expires_ms=1_000)
    (last,) = await world.submit(gates=gates)
    await world.match()
    await world.complete(completed)
    await world.fail(failed, "dead")
    await world.match()
    await world.cancel(stopped)
    await world.complete(stopped)
    assert await world.phase(stopped) == Phase.CANCELLED
    await world.fail(waiting, delay_ms=9_000)
    await world.cancel(waiting)
    if level == "w":
        await world.make_due("start")
        await world.fire()
    await world.match()
    if level == "t":
        await world.complete(missed)
    assert await under_way(world, last) == [last]
    await world.complete(last)
    assert not (await world.look()).keys_of("permits")


async def test_a_lane_with_one_long_key_leaves_room_for_all_others(shard: Shard) -> None:
    """Ten keys, one with 10,000 runs: each of the others gets its share at once."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    for _ in range(10):
        await world.submit(1_000, gates=[permit("flood", 100)])
    for place in range(9):
        await world.submit(20, gates=[permit(f"key {place}", 100)])
    await world.connect(slots=100)
    assert await world.match() == 100
    taken = await permits_out(world)
    assert len(taken) == 10
    assert max(taken.values()) - min(taken.values()) <= 1


async def test_keys_take_turns_while_they_run(shard: Shard) -> None:
    """Every slot that comes back goes to the key whose turn it is, not to the longest queue."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    await world.connect(slots=4)
    runs = await world.submit(200, gates=[permit("flood", 10)])
    runs += await world.submit(6, gates=[permit("small", 10)])
    await world.match()
    order = []
    for _ in range(5):
        held = await under_way(world, *runs)
        order += held
        await world.complete(*held)
    assert set(runs[200:]) <= set(order[:13])


async def test_where_no_other_key_waits_a_batch_is_claimed(shard: Shard) -> None:
    """Turns are for others: one key alone needs no more visits than a plain lane."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    await world.connect(slots=64)
    await world.submit(64, gates=[permit(most=64)])
    claims = "g:" + (await world.look()).hash("w:w1")["group"].decode()
    await world.match()
    assert int((await world.look()).hash(claims)["n"]) == 4


async def test_the_newest_run_says_how_many_may_be_under_way(world: World) -> None:
    """A lower limit holds for what is queued under the higher one too."""
    await world.connect(slots=9)
    old = await world.submit(5, gates=[permit(most=3)])
    await world.match()
    new = await world.submit(2, gates=[permit(most=2)], leases=2)
    await world.complete(old[0])
    assert await permits_out(world) == {"k": 2}
    await world.complete(old[1])
    assert await permits_out(world) == {"k": 2}
    for _ in range(5):
        await world.complete(*await under_way(world, *old, *new))
        assert (await permits_out(world))["k"] <= 2
    assert await world.phases([*old, *new]) == {Phase.COMPLETED}


async def test_a_higher_limit_lets_older_runs_in(world: World) -> None:
    """As soon as a run of the newer definition has come to the key."""
    await world.connect(slots=9)
    old = await world.submit(5, gates=[permit(most=1)])
    await world.match()
    new = await world.submit(1, gates=[permit(most=4)], leases=1)
    await world.match()
    assert len(await under_way(world, *old, *new)) == 4


async def test_nothing_is_left_of_keys_that_nobody_uses(world: World) -> None:
    """Permits, contenders, parked lanes; only the limits of the definitions stay."""
    await world.connect(slots=50)
    for strategy in ("rr", "cip", "cn"):
        for level in ("t", "w"):
            gates = [permit(strategy, 2, strategy, level)]
            runs = await world.submit(5, gates=gates, expires_ms=60_000)
            await world.match()
            await world.fail((await under_way(world, *runs))[0], delay_ms=9_000)
    left = await world.drain_away()
    gates_of = {"permits", "contenders", "parked", "flow_lanes", "lane_meta", "ring", "timers"}
    assert not gates_of & set(left.families)
    assert "max_runs" in left.families
