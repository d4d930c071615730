"""Rate limits: units per window, taken when an attempt starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE, World, permit, rate
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass_core.store.shard import Shard

_HELD = {Phase.LEASED, Phase.RUNNING}
_MINUTE_MS = 60_000
# Of a run's own: it names the limit, its units and its window.
_OWN = rate("=user 7", limit=3, window_ms=_MINUTE_MS)


async def _held(world: World, runs: Sequence[str]) -> int:
    phases = (await world.look()).phases()
    return len([run for run in runs if phases[run] in _HELD])


async def _used(world: World, name: str = "api") -> int:
    return int((await world.look()).hash(f"rl:{NAMESPACE}|{name}").get("used", 0))


async def _refill(world: World, name: str = "api") -> None:
    """The window ends, its timer fires, what came back is matched."""
    await world.end_window(name)
    await world.fire()
    await world.match()


async def test_no_more_start_in_a_window_than_the_limit_says(world: World) -> None:
    """Exactly as many, in one call or several; the window's end lets the next ones go."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 7, _MINUTE_MS)
    await world.connect(slots=50)
    runs = [*await world.submit(3, gates=[rate()], leases=3), *await world.submit(17, gates=[rate()])]
    await world.match()
    for started in (7, 14, 20):
        assert await _held(world, runs) == started
        assert await world.phases(runs[:started]) == {Phase.LEASED}
        await _refill(world)


async def test_units_are_not_given_back(world: World) -> None:
    """However the attempt ends; a retry takes them anew."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 4, _MINUTE_MS)
    await world.connect()
    first, second, third = await world.submit(3, gates=[rate()], leases=3)
    await world.complete(first)
    await world.fail(second)
    await world.match()
    assert await _used(world) == 4
    await world.fail(third)
    await world.match()
    assert await world.phase(second) == Phase.LEASED
    assert await world.phase(third) == Phase.READY


async def test_a_run_of_many_units_waits_until_they_fit(world: World) -> None:
    """And those behind it wait with it, where they ask for the same."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 10, _MINUTE_MS)
    await world.connect()
    large = await world.submit(3, gates=[rate(units=4)], leases=3)
    assert await _held(world, large) == 2
    small = await world.submit(3, gates=[rate(units=1)], leases=3)
    assert await _held(world, small) == 2
    assert await _used(world) == 10


async def test_all_limits_or_none(world: World) -> None:
    """What does not fit into the one takes nothing of the other, nor a permit."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 5, _MINUTE_MS)
    await world.shard.rate_limits.put(NAMESPACE, "bytes", 2, _MINUTE_MS)
    await world.connect()
    runs = await world.submit(4, gates=[permit(most=9), rate(), rate("bytes")], leases=4)
    assert await _held(world, runs) == 2
    assert (await _used(world), await _used(world, "bytes")) == (2, 2)
    assert len((await world.look()).zset("c:default|t|t0|k")) == 2


async def test_a_limit_is_one_for_all_tasks_workers_and_levels(world: World) -> None:
    """Whoever comes first takes of it."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 6, _MINUTE_MS)
    await world.connect("w1", tasks=["t"], slots=4)
    await world.connect("w2", tasks=["u"], slots=4)
    runs = [*await world.submit(4, gates=[rate()], level=4), *await world.submit(4, task="u", gates=[rate()])]
    await world.match()
    assert await _held(world, runs) == 6
    await world.complete(*[run for run, phase in (await world.look()).phases().items() if phase in _HELD])
    await _refill(world)
    assert await _held(world, runs) == 2


async def test_each_value_of_a_run_of_its_own_limit_has_its_own_window(world: World) -> None:
    """Dynamic limits need nobody to put them, are in no list, and go with their window."""
    await world.connect()
    runs = await world.submit(5, gates=[_OWN], leases=5)
    others = await world.submit(5, gates=[rate("=user 8", limit=2, window_ms=_MINUTE_MS)], leases=5)
    assert (await _held(world, runs), await _held(world, others)) == (3, 2)
    assert await world.shard.rate_limits.all(NAMESPACE) == []
    ttl = await world.shard.redis.pttl(world.shard.keys.of("rate", key=f"{NAMESPACE}|=user 7"))
    assert 0 < ttl <= _MINUTE_MS
    await world.shard.redis.delete(world.shard.keys.of("rate", key=f"{NAMESPACE}|=user 7"))
    await world.make_due("open:r:default|=user 7")
    await world.fire()
    await world.match()
    assert (await _held(world, runs), await _held(world, others)) == (5, 2)


async def test_nobody_looks_at_what_is_parked(world: World) -> None:
    """One timer, at the window's end; no head, no mark for the scheduler."""
    await world.connect()
    await world.submit(5, gates=[_OWN], leases=5)
    s = await world.look()
    start = int(s.hash("rl:default|=user 7")["start"])
    assert s.zset("T") == {"open:r:default|=user 7": start + _MINUTE_MS}
    assert not s.keys_of("heads")
    assert not s.set("dirty")
    assert await world.match() == 0


async def test_a_run_that_waits_for_units_can_be_cancelled(world: World) -> None:
    """With the last one goes the timer."""
    await world.connect()
    runs = await world.submit(5, gates=[_OWN], leases=5)
    await world.cancel(*runs[3:])
    s = await world.look()
    assert not s.zset("T")
    assert not s.keys_of("parked")


async def test_a_window_wakes_no_more_lanes_than_fit(world: World) -> None:
    """Of 60 lanes behind a limit of two the others stay where they are."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 2, _MINUTE_MS)
    await world.connect(slots=90)
    runs = [run for place in range(60) for run in await world.submit(gates=[permit(f"{place}"), rate()])]
    await world.match()
    assert await _held(world, runs) == 2
    await world.end_window()
    await world.fire()
    parked = len((await world.look()).zset("gw:r:default|api"))
    assert parked >= 58 - 16
    await world.match()
    assert await _held(world, runs) == 4
    assert len((await world.look()).zset("gw:r:default|api")) == 56


async def test_units_that_are_left_go_to_the_next_lane(world: World) -> None:
    """Each that passes wakes one more, over all tasks."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 5, _MINUTE_MS)
    await world.connect(slots=90, tasks=["t", "u"])
    runs = [
        run
        for place in range(20)
        for run in await world.submit(gates=[permit(f"{place}"), rate()], task="tu"[place % 2])
    ]
    await world.match()
    for started in (5, 10, 15, 20):
        assert await _held(world, runs) == started
        await _refill(world)


@pytest.mark.parametrize("gates", [[rate(units=10)], [rate("=x", 10, 10, _MINUTE_MS)]])
async def test_exactly_the_limit_fits(world: World, gates: list[list[object]]) -> None:
    """And nothing beyond it."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 10, _MINUTE_MS)
    await world.connect()
    runs = await world.submit(2, gates=gates, leases=2)
    assert await _held(world, runs) == 1


async def test_a_window_begins_with_its_first_use(world: World) -> None:
    """Not when the former one has ended."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 5, _MINUTE_MS)
    await world.connect()
    await world.submit(gates=[rate()], leases=1)
    await world.end_window()
    before = int((await world.look()).hash("rl:default|api")["start"])
    await world.submit(gates=[rate()], leases=1)
    s = await world.look()
    assert before == 1
    assert abs(int(s.hash("rl:default|api")["start"]) - s.now_ms) < _MINUTE_MS
    assert await _used(world) == 1


async def test_what_waits_is_counted(shard: Shard) -> None:
    """In the depth of its queue, and in the runs that its workflow has queued."""
    world = World(shard)
    await world.submit(3, gates=[permit()])
    await world.submit(2, gates=[permit("other")], level=4)
    await world.submit(1)
    await shard.redis.sadd(shard.keys.of("namespaces"), NAMESPACE)
    (queue,) = (await shard.figures.read()).queues
    assert queue.depth == 6
    assert await shard.definitions.queued(NAMESPACE, "t") == 6
