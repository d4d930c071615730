"""run_append: adds what attempts say to the logs and the streams of their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.limits import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS_PER_RUN,
    MAX_LOG_BYTES_PER_RUN,
    MAX_LOG_LINES_PER_RUN,
    MAX_STREAM_BYTES_PER_RUN,
)
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    from tests.support.world import World


def _lines(first: int, last: int) -> list[bytes]:
    return [pack((i, "INFO", f"line {i}", 1)) for i in range(first, last)]


async def _kept(world: World, run: str) -> tuple[int, list[list[Any]]]:
    found = await world.shard.runs.log_lines(NAMESPACE, run, 0, MAX_LOG_LINES_PER_RUN)
    assert found is not None
    return found


async def test_lines_are_kept_in_their_order(world: World) -> None:
    """Over several calls."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.log([(run, lease, _lines(0, 2)), (run, lease, _lines(2, 3))]) == 3
    assert await world.shard.runs.log([(run, lease, _lines(3, 5))]) == 2
    first, lines = await _kept(world, run)
    assert first == 0
    assert [line[2] for line in lines] == [b"line %d" % i for i in range(5)]
    assert await world.field(run, "ll") == b"5"


async def test_the_oldest_lines_give_way(world: World) -> None:
    """A run keeps its last thousand; how many there ever were is counted."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.log([(run, lease, _lines(0, 700)), (run, lease, _lines(700, 2500))])
    first, lines = await _kept(world, run)
    assert len(lines) == MAX_LOG_LINES_PER_RUN
    assert (first, lines[0][0], lines[-1][0]) == (1500, 1500, 2499)
    assert await world.field(run, "ll") == b"2500"


async def test_the_oldest_lines_give_way_to_bytes_too(world: World) -> None:
    """A run keeps 1 MiB of lines; a line's number stays what it was."""
    ((run, lease),) = (await world.running()).items()
    for number in range(3):
        text = "x" * (MAX_LOG_BYTES_PER_RUN // 2 - 1000)
        await world.shard.runs.log([(run, lease, [pack((number, "INFO", text, 1)), *_lines(number, number + 1)])])
    first, lines = await _kept(world, run)
    assert (first, [line[0] for line in lines]) == (1, [0, 1, 1, 2, 2])
    assert int(await world.field(run, "lb") or 0) == sum(len(pack(tuple(line))) for line in lines)
    assert await world.field(run, "ll") == b"6"


async def test_lines_of_a_lost_lease_are_dropped(world: World) -> None:
    """Others' in the same call are kept."""
    ((run, old),) = (await world.running()).items()
    await world.fail(run, "release")
    await world.match()
    lease = await world.lease(run)
    (never,) = world.mint()
    kept = await world.shard.runs.log(
        [(run, old, _lines(0, 3)), (never, lease, _lines(0, 3)), (run, lease, _lines(7, 8))]
    )
    assert kept == 1
    _first, lines = await _kept(world, run)
    assert [line[0] for line in lines] == [7]


async def test_lines_that_come_after_the_end_are_kept(world: World) -> None:
    """They travel behind the completion; the lease is the last one."""
    ((run, lease),) = (await world.running()).items()
    await world.complete(run)
    assert await world.shard.runs.log([(run, lease, _lines(0, 1))]) == 1


async def test_no_lines_change_nothing(world: World) -> None:
    """An empty batch, and an attempt with nothing to say."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.log([]) == 0
    assert await world.shard.runs.log([(run, lease, [])]) == 0
    assert not (await world.look()).keys_of("log")


def _chunks(first: int, last: int) -> list[bytes]:
    return [pack((True, f"chunk {i}", 1)) for i in range(first, last)]


async def _streamed(world: World, run: str) -> tuple[int, list[bytes]]:
    found = await world.shard.runs.chunks(NAMESPACE, run, 0, MAX_CHUNKS_PER_RUN)
    assert found is not None
    first, chunks = found
    return first, [data for _is_text, data, _attempt in chunks]


async def test_chunks_are_kept_in_their_order_beside_the_log(world: World) -> None:
    """A run has one list of each."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(0, 2), 0), (run, lease, _chunks(2, 3), 2)]) == [2, 3]
    await world.shard.runs.log([(run, lease, _lines(0, 1))])
    assert await _streamed(world, run) == (0, [b"chunk 0", b"chunk 1", b"chunk 2"])
    assert [await world.field(run, field) for field in ("sl", "ll")] == [b"3", b"1"]


async def test_chunks_that_are_sent_again_are_kept_once(world: World) -> None:
    """All of them, or those that came before the connection broke."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(0, 3), 0)]) == [3]
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(0, 3), 0)]) == [3]
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(1, 5), 1)]) == [5]
    assert (await _streamed(world, run))[1] == [b"chunk %d" % i for i in range(5)]


async def test_chunks_after_missing_ones_are_not_kept(world: World) -> None:
    """A stream has no hole; the answer says how far it is good."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.put_chunks([(run, lease, _chunks(0, 1), 0)])
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(2, 3), 2)]) == [1]
    assert (await _streamed(world, run))[1] == [b"chunk 0"]


async def test_each_attempt_counts_its_chunks_from_0(world: World) -> None:
    """Those of the attempt before stay, and none of its comes any more."""
    ((run, old),) = (await world.running()).items()
    await world.shard.runs.put_chunks([(run, old, _chunks(0, 2), 0)])
    await world.fail(run, "release")
    await world.match()
    lease = await world.lease(run)
    assert await world.shard.runs.put_chunks([(run, old, _chunks(2, 3), 2), (run, lease, _chunks(7, 8), 0)]) == [
        None,
        1,
    ]
    assert (await _streamed(world, run))[1] == [b"chunk 0", b"chunk 1", b"chunk 7"]


async def test_the_oldest_chunks_give_way(world: World) -> None:
    """Over a thousand of them, or 1 MiB; how many there ever were is counted."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.put_chunks([(run, lease, _chunks(0, 9_000), 0)])
    first, chunks = await _streamed(world, run)
    assert (first, len(chunks), chunks[-1]) == (8_000, MAX_CHUNKS_PER_RUN, b"chunk 8999")
    large = [pack((False, b"x" * MAX_CHUNK_BYTES, 1))] * 20
    await world.shard.runs.put_chunks([(run, lease, large, 9_000)])
    first, chunks = await _streamed(world, run)
    assert (first + len(chunks), len(chunks)) == (9_020, MAX_STREAM_BYTES_PER_RUN // MAX_CHUNK_BYTES - 1)


async def test_a_full_store_takes_no_chunk(world: World) -> None:
    """And counts none: the same ones are taken when there is room."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await world.shard.runs.put_chunks([(run, lease, _chunks(0, 1), 0)])
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    assert await world.shard.runs.put_chunks([(run, lease, _chunks(0, 1), 0)]) == [1]
