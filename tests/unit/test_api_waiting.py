"""Telling those who wait what the outbox told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.until import aio_until
from windlass.v1 import run_pb2
from windlass_api.waiting import End, Waiting
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from tests.support.world import World

_LARGE = b'"' + b"x" * 5000 + b'"'


async def test_a_large_output_is_read_by_whoever_tells_it(world: World) -> None:
    """The outbox has its length alone: what waits to be told does not hold it."""
    waiting = Waiting(world.shard, "a1")
    (run,) = await world.running(1)
    told: list[End | None] = []
    waiting.add("default", run, told.append)
    await waiting.watch("default", [run])
    await world.complete(run, output=_LARGE)
    async with asyncio.timeout(10):
        entries = await world.shard.pop(world.shard.keys.of("outbox", inc="a1"), 10)
    assert not waiting.tell(entries, print)
    (end,) = told
    assert end is not None
    assert (end.run_id, end.result) == (run, None)
    assert end.size > len(_LARGE)
    (result,) = await waiting.read([run])
    assert result is not None
    assert (result.status, result.output_json) == (run_pb2.RUN_STATUS_COMPLETED, _LARGE)


async def test_what_is_read_is_what_would_have_been_told(world: World) -> None:
    """However the run ended; a run that is gone has no result."""
    waiting = Waiting(world.shard, "a1")
    completed, failed, cancelled = await world.running(3)
    told: dict[str, End | None] = {}
    for run in (completed, failed, cancelled):
        waiting.add("default", run, lambda end, run=run: told.update({run: end}))  # type: ignore[misc]
    await waiting.watch("default", [completed, failed, cancelled])
    await world.complete(completed)
    await world.fail(failed, "dead", failure=run_pb2.Failure(type="E", message="why").SerializeToString())
    await world.cancel(cancelled)
    await world.complete(cancelled)
    while len(told) < 3:
        async with asyncio.timeout(10):
            waiting.tell(await world.shard.pop(world.shard.keys.of("outbox", inc="a1"), 10), print)
    read = await waiting.read([completed, failed, cancelled, world.mint()[0]])
    assert [end.result if end else None for end in told.values()] == [
        result for run in told for result in read[:3] if result and result.run_id == run
    ]
    assert {result.status for result in read if result} == {
        run_pb2.RUN_STATUS_COMPLETED,
        run_pb2.RUN_STATUS_FAILED,
        run_pb2.RUN_STATUS_CANCELLED,
    }
    assert read[3] is None


async def test_who_waits_for_a_run_that_the_store_has_lost_is_told(world: World, shard: Shard) -> None:
    """When it is noticed, and not at the deadline."""
    unaudited = Shard(shard.url)
    waiting = Waiting(unaudited, "a1")
    (run,) = await world.submit()
    waits = asyncio.create_task(waiting.result("default", run, None))
    await aio_until(lambda: run in waiting._sinks.get("default", {}), "it is waited for")
    await waiting.watch_all()
    await world.shard.redis.flushall()
    waiting.lose(await waiting.watch_all())
    async with asyncio.timeout(10):
        assert await waits is None
    await unaudited.close()
