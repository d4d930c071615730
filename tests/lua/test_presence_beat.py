"""presence_beat: which processes are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.store.shard import Shard


async def test_those_that_beat_are_alive(shard: Shard) -> None:
    """Each with its address, service by service."""
    assert await shard.processes.beat("dispatcher", "d1", "one:1", 60_000)
    assert not await shard.processes.beat("dispatcher", "d1", "one:1", 60_000)
    await shard.processes.beat("dispatcher", "d2", "other:1", 60_000)
    await shard.processes.beat("api", "a1", "api:1", 60_000)
    assert await shard.processes.alive("dispatcher") == {"d1": "one:1", "d2": "other:1"}
    assert await shard.processes.alive("scheduler") == {}


async def test_one_that_falls_silent_is_not_alive(world: World) -> None:
    """By the store's clock."""
    await world.lapse("dispatcher", "d1")
    assert await world.shard.processes.alive("dispatcher") == {}


async def test_one_that_was_away_has_to_ask_again(world: World) -> None:
    """Its box may have been removed meanwhile; where it was not, what is in it stays."""
    await world.connect()
    await world.submit(1, leases=1)
    await world.lapse("dispatcher", "d1")
    assert await world.shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 60_000)
    assert not await world.shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 60_000)
    assert await world.shard.processes.alive("dispatcher") == {"d1": "127.0.0.1:2"}
    assert len(await world.delivered()) == 1


async def test_one_that_was_buried_comes_back_whole(world: World) -> None:
    """With its address."""
    await world.lapse("dispatcher", "d1")
    await world.shard.processes.bury("dispatcher")
    assert await world.shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 60_000)
    assert await world.shard.processes.alive("dispatcher") == {"d1": "127.0.0.1:2"}
