"""worker_heartbeat: renews sessions and reconciles leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.world import World


async def _beat(world: World, *leases: str, worker: str = "w1") -> Sequence[str] | None:
    return (await world.shard.workers.heartbeat(15_000, [(worker, world.sessions[worker], leases)]))[0]


async def test_a_heartbeat_renews_the_session(world: World) -> None:
    """Also one that has expired and was not reaped."""
    await world.connect()
    await world.expire_session("w1")
    assert await _beat(world) == []
    s = await world.look()
    assert s.now_ms + 14_000 < s.zset("sess")["w1"] <= s.now_ms + 15_000
    assert await world.reap() == 0


async def test_leases_that_are_lost_are_named(world: World) -> None:
    """Those that hold are not."""
    leases = await world.running(2)
    ended, kept = leases
    await world.complete(ended)
    assert await _beat(world, leases[kept], leases[ended], "f" * 32) == [leases[ended], "f" * 32]


async def test_another_workers_lease_is_lost(world: World) -> None:
    """It is good, but not its own."""
    ((_run, lease),) = (await world.running(worker="w1")).items()
    await world.connect("w2")
    assert await _beat(world, lease, worker="w2") == [lease]


async def test_a_replaced_session_is_told_so(world: World) -> None:
    """And renews nothing."""
    await world.connect()
    old = world.sessions["w1"]
    await world.connect()
    await world.expire_session("w1")
    assert await world.shard.workers.heartbeat(15_000, [("w1", old, [])]) == [None]
    assert (await world.look()).zset("sess") == {"w1": 1}


async def test_a_reaped_session_is_told_so(world: World) -> None:
    """It has to say Hello again."""
    await world.connect()
    await world.expire_session("w1")
    await world.reap()
    assert await _beat(world) is None


async def test_a_session_without_a_name_never_counts(world: World) -> None:
    """Not for a worker that nobody knows, either."""
    assert await world.shard.workers.heartbeat(15_000, [("nobody", "", [])]) == [None]


async def test_many_workers_and_leases_beat_at_once(world: World) -> None:
    """More leases than Lua unpacks at once; answers come in the order of the beats."""
    leases = [f"{i:032x}" for i in range(2500)]
    for worker in ("w1", "w2"):
        await world.connect(worker)
    beats = [("w2", world.sessions["w2"], leases), ("w3", "s", leases), ("w1", world.sessions["w1"], [])]
    answers = await world.shard.workers.heartbeat(15_000, beats)
    assert answers == [leases, None, []]
    assert await world.shard.workers.heartbeat(15_000, []) == []
