"""Telling those who wait what the outbox told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from windlass_api.waiting import Waiting
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    import pytest

    from tests.support.world import World
    from windlass.v1 import run_pb2


async def test_who_begins_to_wait_while_a_large_output_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not told by the entry that nobody waited for, but by the next one."""
    waiting = Waiting(world.shard, "a1")
    first, second = await world.running(2)
    await world.complete(first, second, output=b'"' + b"x" * 5000 + b'"')
    told: list[run_pb2.RunResult] = []
    waiting.add("default", first, told.append)
    read = world.shard.runs.outputs

    async def come_meanwhile(run_ids: list[str]) -> list[bytes]:
        waiting.add("default", second, told.append)
        return await read(run_ids)

    with monkeypatch.context() as slow:
        slow.setattr(world.shard.runs, "outputs", come_meanwhile)
        assert not await waiting.tell([pack([run, "C", False, "", "", "default"]) for run in (first, second)], print)
    assert [result.run_id for result in told] == [first]
    await waiting.watch("default", [second])
    async with asyncio.timeout(10):
        entries = await world.shard.pop(world.shard.keys.of("outbox", inc="a1"), 10)
    await waiting.tell(entries, print)
    assert [(result.run_id, len(result.output_json)) for result in told] == [(first, 5002), (second, 5002)]
