"""scheduler_beat: who owns the shard, and what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.store.scheduling import Beat

TTL, GAP, HOLD = 3_000, 5_000, 15_000


async def _beat(world: World, who: str = "s1", ttl_ms: int = TTL) -> Beat:
    return await world.shard.scheduling.beat(who, ttl_ms, GAP, HOLD)


async def _set(world: World, **fields: int) -> None:
    for name, value in fields.items():
        await world.shard.redis.hset(world.shard.keys.of("owner"), name, value)


async def test_the_first_one_owns_the_shard_and_keeps_it(world: World) -> None:
    """Others stand by."""
    assert (await _beat(world, "s1")).owner
    assert not (await _beat(world, "s2")).owner
    assert (await _beat(world, "s1")).owner


async def test_a_silent_owner_loses_the_shard(world: World) -> None:
    """And finds so at its next beat."""
    await _beat(world, "s1")
    await _set(world, until=1)
    assert (await _beat(world, "s2")).owner
    assert not (await _beat(world, "s1")).owner


async def test_the_shard_can_be_given_up(world: World) -> None:
    """Another one has it at once; only the owner's word counts."""
    await _beat(world, "s1")
    assert not (await _beat(world, "s2", ttl_ms=0)).owner
    assert not (await _beat(world, "s2")).owner
    assert not (await _beat(world, "s1", ttl_ms=0)).owner
    assert (await _beat(world, "s2")).owner


async def test_a_clock_that_stepped_back_locks_nobody_out(world: World) -> None:
    """An ownership that ends later than any could is none."""
    await _beat(world, "s1")
    await _set(world, until=(await world.look()).now_ms + 10 * TTL)
    assert (await _beat(world, "s2")).owner


async def test_the_owner_learns_of_expired_sessions(world: World) -> None:
    """And of nothing else: wake-ups and timers have their own ways."""
    assert not (await _beat(world)).reap
    await world.connect()
    await world.expire_session("w1")
    assert (await _beat(world)).reap


async def test_others_learn_how_long_to_wait(world: World) -> None:
    """They have nothing to do until then."""
    await _beat(world, "s1")
    await world.connect()
    await world.expire_session("w1")
    beat = await _beat(world, "s2")
    assert not beat.reap
    assert 0 < beat.wait_ms <= TTL


async def test_nothing_is_reaped_right_after_an_outage(world: World) -> None:
    """Nobody could beat: the workers get one session's time to do so."""
    await _beat(world)
    await world.connect()
    await world.expire_session("w1")
    await _set(world, beat=(await world.look()).now_ms - GAP - 1_000)
    assert not (await _beat(world)).reap
    assert not (await _beat(world)).reap
    await _set(world, hold=1)
    assert (await _beat(world)).reap


async def test_nothing_is_reaped_right_after_the_clock_stepped(world: World) -> None:
    """Backwards here; forwards looks like an outage."""
    await _beat(world)
    await world.connect()
    await world.expire_session("w1")
    await _set(world, beat=(await world.look()).now_ms + 60_000)
    assert not (await _beat(world)).reap


async def test_a_hold_never_lasts_longer_than_one(world: World) -> None:
    """Even if the clock stepped back while it held."""
    await _beat(world)
    await _set(world, hold=(await world.look()).now_ms + 100 * HOLD)
    await _beat(world)
    s = await world.look()
    assert int(s.hash("own")["hold"]) <= s.now_ms + HOLD


async def test_the_next_owner_goes_by_the_same_beats(world: World) -> None:
    """A change of owners is no outage."""
    await _beat(world, "s1")
    await world.connect()
    await world.expire_session("w1")
    await _beat(world, "s1", ttl_ms=0)
    assert (await _beat(world, "s2")).reap
