"""run_log: keeps lines that attempts logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass_core.domain.limits import MAX_LOG_LINES_PER_RUN
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    from tests.support.world import World


def _lines(first: int, last: int) -> list[bytes]:
    return [pack((i, "INFO", f"line {i}", 1)) for i in range(first, last)]


async def test_lines_are_kept_in_their_order(world: World) -> None:
    """Over several calls."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.log([(run, lease, _lines(0, 2)), (run, lease, _lines(2, 3))]) == 3
    assert await world.shard.runs.log([(run, lease, _lines(3, 5))]) == 2
    assert [line[2] for line in await world.shard.runs.log_lines(run, 0, -1)] == [b"line %d" % i for i in range(5)]
    assert await world.field(run, "ll") == b"5"


async def test_the_oldest_lines_give_way(world: World) -> None:
    """A run keeps its last thousand; how many there ever were is counted."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.log([(run, lease, _lines(0, 700)), (run, lease, _lines(700, 2500))])
    lines = await world.shard.runs.log_lines(run, 0, -1)
    assert len(lines) == MAX_LOG_LINES_PER_RUN
    assert (lines[0][0], lines[-1][0]) == (1500, 2499)
    assert await world.field(run, "ll") == b"2500"


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
    assert [line[0] for line in await world.shard.runs.log_lines(run, 0, -1)] == [7]


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
