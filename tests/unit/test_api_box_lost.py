"""What an api does when its outbox may have been lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.until import aio_until
from windlass_api.api import Api
from windlass_api.session import Bounds, ClientSession
from windlass_core import pump
from windlass_core.domain.access import ANYBODY
from windlass_core.domain.errors import StoreUnavailable
from windlass_core.settings import ApiSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.world import World
    from windlass_api.waiting import End


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """Give an api that reads its outbox and asks again when told to."""
    api = Api(ApiSettings(store_url=world.shard.url))
    await api._beat()
    loops = [asyncio.create_task(loop()) for loop in (api._outbox, api._ask_again)]
    yield api
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    await api.shard.processes.leave("api", api.inc)
    await api.shard.close()


async def test_ends_that_were_not_told_are_asked_for(api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until that succeeds."""
    monkeypatch.setattr(pump, "FIRST_DELAY_S", 0.0)
    runs = await world.running(3)
    await world.complete(*runs)
    told: list[End] = []
    all_told = asyncio.Event()

    def tell(end: End | None) -> None:
        assert end is not None
        told.append(end)
        if len(told) == len(runs):
            all_told.set()

    for run in runs:
        api._waiting.add("default", run, tell)
    watch, failures = api.shard.runs.watch, iter([True, True])

    async def watch_at_last(namespace: str, inc: str, run_ids: list[str]) -> list[str]:
        if next(failures, False):
            raise StoreUnavailable("away")
        return await watch(namespace, inc, run_ids)

    monkeypatch.setattr(api.shard.runs, "watch", watch_at_last)
    await api.on_box_lost()
    async with asyncio.timeout(10):
        await all_told.wait()
    assert {end.run_id for end in told} == set(runs)


async def test_clients_learn_that_the_store_has_lost_their_runs(api: Api, world: World) -> None:
    """They connect again, and are told which are unknown; without that they would wait for ever."""
    nothing = cast("Any", None)
    bounds = Bounds(1_000_000, 1.0)
    sessions = [ClientSession(nothing, ANYBODY, nothing, api._waiting, nothing, bounds) for _ in range(2)]
    (known,) = await world.submit()
    (lost,) = world.mint()
    for session, run in zip(sessions, (known, lost), strict=True):
        session._watch(run)
    await api.on_box_lost()
    await aio_until(lambda: sessions[1]._ended is not None, "it is told")
    assert isinstance(sessions[1]._ended, StoreUnavailable)
    assert sessions[0]._ended is None
