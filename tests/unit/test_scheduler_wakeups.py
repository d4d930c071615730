"""A wake-up that was taken and not used is not lost: the scheduler's loops, over a real store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from windlass_core.domain.errors import StoreUnavailable
from windlass_core.settings import SchedulerSettings
from windlass_scheduler import scheduler as scheduler_module
from windlass_scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    import pytest

    from tests.support.world import World
    from windlass_core.store.scheduling import Assigned


async def test_work_is_matched_though_the_store_was_away_when_it_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wake-up is popped, then matching fails: the group stays marked, and nobody is woken for it again."""
    monkeypatch.setattr(scheduler_module, "BEAT_EVERY_S", 0.01)
    scheduler = Scheduler(SchedulerSettings(store_url=world.shard.url))
    assign, failures = scheduler.shard.scheduling.assign, 0
    turn = asyncio.Lock()  # nothing comes between the look and the match

    async def away_twice(leases: list[str], gone: bytes) -> Assigned:
        nonlocal failures
        async with turn:
            if failures < 2 and await world.shard.redis.exists(world.shard.keys.of("dirty")):
                failures += 1
                raise StoreUnavailable("away")
            return await assign(leases, gone)

    monkeypatch.setattr(scheduler.shard.scheduling, "assign", away_twice)
    loops = [asyncio.create_task(loop()) for loop in scheduler.loops()]
    try:
        await world.connect()
        async with turn:
            await world.submit(40)
        assert await world.shard.pop(world.shard.keys.of("inbox", inc="d1"), 1, timeout_s=20)
        assert failures == 2
    finally:
        for loop in loops:
            loop.cancel()
        for loop in loops:
            with suppress(asyncio.CancelledError):
                await loop
        await scheduler.shard.close()
