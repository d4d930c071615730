"""worker_leave: workers' streams have ended, or they drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


@pytest.mark.parametrize(("how", "state"), [("gone", "g"), ("draining", "d")])
async def test_a_worker_that_left_keeps_what_it_holds(world: World, how: str, state: str) -> None:
    """Until its session expires."""
    ((run, lease),) = (await world.running()).items()
    assert await world.leave("w1", how) == 1
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert (worker.state, worker.slots_used) == (state, 1)
    assert await world.shard.runs.complete([(run, lease, b"1")]) == ["recorded"]
    assert await world.phase(run) == Phase.COMPLETED


async def test_a_worker_that_came_back_takes_work_again(world: World) -> None:
    """A dropped connection is no goodbye."""
    await world.connect()
    await world.leave("w1")
    await world.connect()
    await world.submit()
    assert await world.match() == 1


async def test_a_drained_worker_is_forgotten_at_once(world: World) -> None:
    """Nothing has to expire when it has said all."""
    (run,) = await world.running()
    await world.leave("w1", "draining")
    await world.complete(run)
    assert await world.leave("w1") == 1
    assert await world.shard.workers.all(NAMESPACE) == []
    assert not (await world.look()).keys_of("group")


async def test_a_draining_worker_that_still_holds_something_stays(world: World) -> None:
    """Its work is taken back when its session expires."""
    (run,) = await world.running()
    await world.leave("w1", "draining")
    await world.leave("w1")
    assert len(await world.shard.workers.all(NAMESPACE)) == 1
    await world.expire_session("w1")
    assert await world.reap() == 1
    assert await world.phase(run) == Phase.READY


async def test_a_session_that_no_longer_counts_changes_nothing(world: World) -> None:
    """An older one, and that of a worker nobody knows."""
    await world.connect()
    old = world.sessions["w1"]
    await world.connect()
    leaving = [("w1", old, "gone"), ("nobody", old, "gone"), ("nobody", "", "gone")]
    assert await world.shard.workers.leave(leaving) == 0  # type: ignore[arg-type] # they are what they are
    await world.submit()
    assert await world.match() == 1


async def test_nobody_leaving_changes_nothing(world: World) -> None:
    """An empty batch."""
    assert await world.shard.workers.leave([]) == 0
