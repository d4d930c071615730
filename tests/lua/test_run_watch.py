"""run_watch: has an api told of the end of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.store.runs import to_failure
from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from tests.support.world import World


async def test_the_end_of_a_watched_run_is_told_once(world: World) -> None:
    """However often it was asked for."""
    (run,) = await world.running()
    for _ in range(3):
        assert await world.shard.runs.watch(NAMESPACE, "a1", [run]) == []
    assert await world.outbox() == []
    await world.complete(run, output=b"[1]")
    assert await world.outbox() == [[run.encode(), b"C", b"[1]", b"", b"", b"default"]]


async def test_an_end_that_was_is_told_at_once(world: World) -> None:
    """No end falls between asking and being told."""
    done, failed, cancelled = await world.running(3)
    await world.complete(done, output=b"[1]")
    await world.fail(failed, "dead", failure=b"why")
    await world.cancel(cancelled, reason="stop")
    await world.complete(cancelled)
    assert await world.shard.runs.watch(NAMESPACE, "a1", [done, failed, cancelled]) == []
    told = {entry[0].decode(): entry[1:-1] for entry in await world.outbox()}
    assert told[done] == [b"C", b"[1]", b"", b""]
    assert told[cancelled] == [b"X", b"", b"", b"stop"]
    phase, output, failure, reason = told[failed]
    assert (phase, output, reason) == (b"F", b"", b"")
    assert to_failure(unpack(failure)).body == b"why"


async def test_several_apis_wait_for_one_run(world: World) -> None:
    """The first one is a field of the run, the others are in a set."""
    for inc in ("a2", "a3"):
        await world.shard.processes.beat("api", inc, "127.0.0.1:3", 60_000)
    (run,) = await world.running()
    for inc in ("a1", "a2", "a3", "a2"):
        await world.shard.runs.watch(NAMESPACE, inc, [run])
    await world.complete(run)
    for inc in ("a1", "a2", "a3"):
        assert len(await world.outbox(inc)) == 1


async def test_a_run_that_is_retried_is_still_watched(world: World) -> None:
    """Only its end is told."""
    (run,) = await world.running(api="a1")
    await world.fail(run)
    assert await world.outbox() == []
    await world.match()
    await world.complete(run)
    assert len(await world.outbox()) == 1


async def test_unknown_runs_are_named(world: World) -> None:
    """Those that never were, and those of another namespace."""
    (mine,) = await world.submit()
    (other,) = await world.submit(namespace="other")
    (never,) = world.mint()
    assert await world.shard.runs.watch(NAMESPACE, "a1", [never, mine, other]) == [never, other]


async def test_nothing_asked_nothing_told(world: World) -> None:
    """An empty batch."""
    assert await world.shard.runs.watch(NAMESPACE, "a1", []) == []


@pytest.mark.parametrize(("size", "told"), [(4096, b"x" * 4096), (4097, 4097)])
async def test_a_large_output_is_told_by_reference(world: World, size: int, told: bytes | int) -> None:
    """Over 4 KiB it stays with the run, where the api reads it; its length is told."""
    (run,) = await world.running(api="a1")
    await world.complete(run, output=b"x" * size)
    assert (await world.outbox())[0][2] == told
    assert await world.field(run, "o") == b"x" * size


async def test_an_outbox_that_is_not_read_becomes_a_resync(world: World) -> None:
    """It must not eat the store's memory; the api asks again for all that it waits for."""
    outbox = world.shard.keys.of("outbox", inc="a1")
    (run,) = await world.running(api="a1")
    entries = ["x"] * 10_000
    for _ in range(10):
        await world.shard.redis.rpush(outbox, *entries)
    await world.complete(run)
    assert await world.outbox() == [[b"resync"]]


async def test_a_thousand_ended_runs_are_told_in_one_call(world: World) -> None:
    """What an api asks for when its connection was away."""
    runs = await world.submit(1000)
    await world.cancel(*runs)
    await world.shard.runs.watch(NAMESPACE, "a1", runs)
    assert [entry[0].decode() for entry in await world.outbox()] == runs
