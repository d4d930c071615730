"""What a scheduler does about wake-ups that never reach it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from windlass_core.domain.phase import Phase
from windlass_core.settings import SchedulerSettings
from windlass_scheduler import scheduler as module
from windlass_scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.world import World


@pytest.fixture
async def scheduler(world: World) -> AsyncIterator[Scheduler]:
    """Give a scheduler that owns the shard; nothing of it runs by itself."""
    scheduler = Scheduler(SchedulerSettings(store_url=world.shard.url))
    scheduler._owner.set()
    yield scheduler
    await scheduler.shard.close()


async def _take_the_wake_up(world: World) -> None:
    """As a scheduler does that is stopped before it can do anything about it."""
    assert await world.shard.pop(world.shard.keys.of("wake"), 1, 10)


async def test_a_run_whose_wake_up_went_elsewhere_is_given_out(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its group is marked already: there will be no other wake-up for it."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    await world.connect()
    (run,) = await world.submit()
    await _take_the_wake_up(world)
    await scheduler._match_once()
    assert await world.phase(run) == Phase.LEASED


async def test_a_timer_whose_wake_up_went_elsewhere_is_seen(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never fire."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    await world.submit(delay_ms=60_000)
    await _take_the_wake_up(world)
    await scheduler._match_once()
    assert scheduler._due is not None


async def test_beats_go_on_while_much_is_matched(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the shard would be lost to another one for having much to do."""
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.0)
    await world.connect()
    (run,) = await world.submit()
    scheduler._owner.clear()
    async with scheduler._stepping, asyncio.timeout(10):
        await scheduler._beat_once()
    assert await world.phase(run) == Phase.READY
    await scheduler._take_over_once()
    assert await world.phase(run) == Phase.LEASED


async def test_beats_go_on_while_many_are_taken_back(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead of a large cluster take many pages."""
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.0)
    (run,) = await world.leased(1)
    await world.expire_session("w1")
    await scheduler._beat_once()
    assert await world.phase(run) == Phase.LEASED
    async with asyncio.timeout(10):
        await scheduler._reap_once()
    assert await world.phase(run) == Phase.READY
