"""rate_limit_put: makes a limit, or changes one while runs wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE, rate
from windlass_core.domain.phase import Phase
from windlass_core.store.rate_limits import StoredRateLimit

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_limit_is_listed_with_what_is_used_of_it(world: World) -> None:
    """Nothing is, before its first use and after its window."""
    limits = world.shard.rate_limits
    assert await limits.put(NAMESPACE, "api", 10, 60_000) is True
    assert await limits.put(NAMESPACE, "a", 5, 1_000) is True
    assert await limits.all(NAMESPACE) == [
        StoredRateLimit("a", 5, 1_000, 0, 0),
        StoredRateLimit("api", 10, 60_000, 0, 0),
    ]
    await world.connect()
    await world.submit(2, gates=[rate(units=3)], leases=2)
    (_, api) = await limits.all(NAMESPACE)
    started = int((await world.look()).hash("rl:default|api")["start"])
    assert api == StoredRateLimit("api", 10, 60_000, 6, started + 60_000)
    await world.end_window()
    assert (await limits.all(NAMESPACE))[1] == StoredRateLimit("api", 10, 60_000, 0, 0)
    assert await limits.all("other") == []


async def test_limits_can_be_asked_for_by_name(world: World) -> None:
    """Those that nobody has put are left out."""
    await world.shard.rate_limits.put(NAMESPACE, "api", 10, 60_000)
    assert await world.shard.rate_limits.limits(NAMESPACE, ["api", "gone"]) == {"api": 10}


async def test_a_higher_limit_lets_waiting_runs_go_at_once(world: World) -> None:
    """Within the window that is open, where what was used counts on."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 2, 60_000)
    await world.connect()
    runs = await world.submit(8, gates=[rate()], leases=8)
    assert await world.phases(runs[2:]) == {Phase.READY}
    assert await limits.put(NAMESPACE, "api", 5, 60_000) is False
    await world.fire()
    await world.match()
    assert await world.phases(runs[:5]) == {Phase.LEASED}
    assert await world.phases(runs[5:]) == {Phase.READY}


async def test_a_lower_limit_holds_at_once(world: World) -> None:
    """What was used above it is not asked back."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 5, 60_000)
    await world.connect()
    runs = await world.submit(3, gates=[rate()], leases=3)
    await limits.put(NAMESPACE, "api", 2, 60_000)
    runs += await world.submit(2, gates=[rate()], leases=2)
    assert await world.phases(runs[:3]) == {Phase.LEASED}
    assert await world.phases(runs[3:]) == {Phase.READY}
    await world.end_window()
    await world.fire()
    await world.match()
    assert await world.phases(runs) == {Phase.LEASED}


async def test_a_run_that_asks_for_more_than_there_is_takes_all_of_it(world: World) -> None:
    """The limit was lowered below its units after its submit: it must not wait for ever."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 10, 60_000)
    (run,) = await world.submit(gates=[rate(units=8)])
    await limits.put(NAMESPACE, "api", 3, 60_000)
    await world.connect()
    await world.match()
    assert await world.phase(run) == Phase.LEASED
    assert [limit.used for limit in await limits.all(NAMESPACE)] == [3]


async def test_a_shorter_window_ends_sooner(world: World) -> None:
    """The one that is open, too."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 1, 86_400_000)
    await world.connect()
    first, second = await world.submit(2, gates=[rate()], leases=2)
    key = world.shard.keys.of("rate", key=f"{NAMESPACE}|api")
    await world.shard.redis.hincrby(key, "start", -2_000)
    await limits.put(NAMESPACE, "api", 1, 1_000)
    await world.fire()
    await world.match()
    assert await world.phases([first, second]) == {Phase.LEASED}
