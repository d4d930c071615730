"""run_entries: lines of a run's log or chunks of its stream, by an offset that counts the dropped ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    from tests.support.world import World


async def _logged(world: World, count: int) -> str:
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.log([(run, lease, [pack((i, "INFO", "x", 1)) for i in range(count)])])
    return run


async def test_a_page_begins_where_it_was_asked_to(world: World) -> None:
    """And has as many lines as were asked for."""
    run = await _logged(world, 5)
    assert await world.shard.runs.log_lines(NAMESPACE, run, 1, 2) == (1, [[1, b"INFO", b"x", 1], [2, b"INFO", b"x", 1]])


async def test_dropped_lines_are_told_by_the_first_offset(world: World) -> None:
    """It is larger than what was asked for."""
    run = await _logged(world, 1200)
    found = await world.shard.runs.log_lines(NAMESPACE, run, 10, 1)
    assert found == (200, [[200, b"INFO", b"x", 1]])


async def test_beyond_the_end_there_is_nothing_yet(world: World) -> None:
    """The offset stays what it was: the next line will have it."""
    run = await _logged(world, 2)
    assert await world.shard.runs.log_lines(NAMESPACE, run, 2, 10) == (2, [])


async def test_a_run_without_lines_and_an_unknown_one_differ(world: World) -> None:
    """So do another namespace's."""
    (run,) = await world.submit()
    (unknown,) = world.mint()
    (stranger,) = await world.submit(namespace="other")
    assert await world.shard.runs.log_lines(NAMESPACE, run, 0, 10) == (0, [])
    assert await world.shard.runs.log_lines(NAMESPACE, unknown, 0, 10) is None
    assert await world.shard.runs.log_lines(NAMESPACE, stranger, 0, 10) is None


async def test_the_stream_is_read_apart_from_the_log(world: World) -> None:
    """Each with offsets of its own."""
    run = await _logged(world, 3)
    await world.shard.runs.put_chunks([(run, await world.lease(run), [pack((False, b"\x00\xff", 2))], 0)])
    assert await world.shard.runs.chunks(NAMESPACE, run, 0, 10) == (0, [[False, b"\x00\xff", 2]])
    assert await world.shard.runs.chunks(NAMESPACE, run, 1, 10) == (1, [])
