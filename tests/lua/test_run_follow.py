"""run_follow: an api is told that a run has moved, and looks for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE

if TYPE_CHECKING:
    from tests.support.world import World


async def _follow(world: World, *runs: str, api: str = "a1") -> list[str]:
    await world.shard.processes.beat("api", api, "127.0.0.1:1", 60_000)
    return await world.shard.runs.follow(NAMESPACE, api, list(runs), follow=True)


async def _moved(world: World, api: str = "a1") -> list[str]:
    return [entry[1].decode() for entry in await world.outbox(api) if entry[0] == b"moved"]


async def test_a_line_a_start_and_a_retry_are_told(world: World) -> None:
    """Each by one entry, to each api that follows."""
    ((run, lease),) = (await world.leased()).items()
    await _follow(world, run)
    await _follow(world, run, api="a2")
    await world.shard.runs.accept([(run, lease)])
    assert await _moved(world) == [run]
    await world.shard.runs.log([(run, lease, [b"one", b"two"])])
    assert await _moved(world) == [run]
    await world.fail(run)
    assert await _moved(world) == [run]
    assert await _moved(world, "a2") == [run] * 3


async def test_a_run_that_is_taken_back_has_moved(world: World) -> None:
    """Its worker's session expired."""
    (run,) = await world.running()
    await _follow(world, run)
    await world.expire_session("w1")
    await world.reap()
    assert await _moved(world) == [run]


async def test_who_follows_no_longer_is_told_no_more(world: World) -> None:
    """The last one takes the mark with it."""
    ((run, lease),) = (await world.running()).items()
    for api in ("a1", "a2"):
        await _follow(world, run, api=api)
    await world.shard.runs.follow(NAMESPACE, "a1", [run], follow=False)
    await world.shard.runs.log([(run, lease, [b"line"])])
    assert (await _moved(world), await _moved(world, "a2")) == ([], [run])
    await world.shard.runs.follow(NAMESPACE, "a2", [run], follow=False)
    assert await world.field(run, "fw") is None
    assert not (await world.look()).keys_of("followers")


async def test_a_dead_api_is_forgotten(world: World) -> None:
    """Nothing is put into a box that nobody reads."""
    ((run, lease),) = (await world.running()).items()
    await _follow(world, run)
    await world.shard.processes.leave("api", "a1")
    await world.shard.runs.log([(run, lease, [b"line"])])
    assert not (await world.look()).keys_of("outbox")
    assert not (await world.look()).keys_of("followers")
    assert await world.field(run, "fw") is None


async def test_unknown_runs_are_named(world: World) -> None:
    """And those of another namespace."""
    (run,) = await world.submit()
    (unknown,) = world.mint()
    (stranger,) = await world.submit(namespace="other")
    assert await _follow(world, run, unknown, stranger) == [unknown, stranger]
