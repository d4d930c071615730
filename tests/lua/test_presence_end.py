"""presence_end: processes have gone, and their boxes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_goodbye_takes_the_boxes_along(world: World) -> None:
    """Nothing is left of a process that left; the others stay."""
    await world.shard.processes.beat("dispatcher", "d2", "127.0.0.1:3", 60_000)
    await world.connect()
    await world.submit(1, leases=1)
    assert (await world.look()).keys_of("inbox")
    await world.shard.processes.leave("dispatcher", "d1")
    assert await world.shard.processes.alive("dispatcher") == {"d2": "127.0.0.1:3"}
    s = await world.look()
    assert not s.keys_of("inbox")
    assert s.hash("addr:dispatcher") == {"d2": b"127.0.0.1:3"}


async def test_a_second_goodbye_is_no_harm(world: World) -> None:
    """Nor is that of one that nobody knows."""
    for inc in ("d1", "d1", "nobody"):
        await world.shard.processes.leave("dispatcher", inc)


async def test_those_that_fell_silent_are_buried(world: World) -> None:
    """With their boxes; those that live are left alone."""
    await world.shard.processes.beat("dispatcher", "d2", "127.0.0.1:3", 60_000)
    await world.connect(dispatcher="d1")
    await world.connect("w2", dispatcher="d2", tasks=["other"])
    await world.submit(1, leases=1)
    await world.submit(1, leases=1, task="other")
    await world.lapse("dispatcher", "d1")
    assert await world.shard.processes.bury("dispatcher") == 1
    assert await world.shard.processes.bury("dispatcher") == 0
    s = await world.look()
    assert set(s.keys_of("inbox")) == {"inbox:d2"}
    assert s.hash("addr:dispatcher") == {"d2": b"127.0.0.1:3"}


async def test_services_do_not_bury_each_other(world: World) -> None:
    """Silent dispatchers are no business of the apis."""
    (run,) = await world.running(api="a1")
    await world.complete(run)
    await world.lapse("dispatcher", "d1")
    assert await world.shard.processes.bury("api") == 0
    assert await world.shard.processes.bury("dispatcher") == 1
    assert len(await world.outbox()) == 1
