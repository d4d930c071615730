"""What a service makes of its own presence, and of a store that is away when it leaves."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.support.in_process import in_process
from tests.support.tokens import make_token
from windlass_core import pump, service
from windlass_core.domain.errors import StoreUnavailable, TokenRevoked
from windlass_core.service import Service
from windlass_core.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from windlass_core.store.shard import Shard


class _Process(Service):
    """Counts how often its box was lost; the first `failures` times the store is away for it."""

    name = "api"

    def __init__(self, settings: ServiceSettings, listen: str = "127.0.0.1:0") -> None:
        super().__init__(settings, listen, "127.0.0.1:0")
        self.losses = 0
        self.failures = 0

    @override
    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return []

    @override
    async def on_box_lost(self) -> None:
        self.losses += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")


@pytest.fixture
async def process(shard: Shard) -> AsyncIterator[_Process]:
    """Give a process that is known to be alive."""
    process = _Process(ServiceSettings(store_url=shard.url, shutdown_grace=timedelta(seconds=0.01)))
    await process._beat()
    yield process
    await process.shard.close()


async def test_a_presence_that_holds_loses_nothing(process: _Process) -> None:
    """A beat in time is all."""
    await process._tell_presence()
    assert process.losses == 0


async def test_what_was_lost_is_asked_for_until_that_succeeds(
    process: _Process, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second beat would not tell any more that the presence had expired."""
    monkeypatch.setattr(pump, "FIRST_DELAY_S", 0.0)
    await shard.processes.leave("api", process.inc)
    process.failures = 2
    await process._tell_presence()
    assert process.losses == 3


async def test_a_long_silence_is_a_loss_whatever_the_store_says(
    process: _Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply that told of it may have been lost itself."""
    monkeypatch.setattr(service, "PRESENCE_TTL_MS", 0)
    process._told_at -= 1.0
    await process._tell_presence()
    assert process.losses == 1


@pytest.mark.parametrize(
    ("listen", "advertise", "expected"),
    [
        ("127.0.0.1:0", "", "127.0.0.1"),
        ("0.0.0.0:0", "", socket.gethostname()),
        ("[::]:0", "", socket.gethostname()),
        ("0.0.0.0:0", "elsewhere.internal:7071", "elsewhere.internal"),
    ],
)
async def test_it_is_told_under_an_address_that_others_can_use(
    store_url: str, listen: str, advertise: str, expected: str
) -> None:
    """A wildcard is none; in a container the host name is what the others know it by."""
    process = _Process(ServiceSettings(store_url=store_url, advertise=advertise), listen)
    assert process.address.rpartition(":")[0] == expected
    await process.shard.close()


async def test_leaving_does_not_wait_for_ever(process: _Process) -> None:
    """As for a store that is away."""
    async with asyncio.timeout(10):
        await process.within_grace(asyncio.sleep(3600))


async def test_a_token_revoked_before_the_first_beat_does_not_hold(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is open by then, and nobody knows yet that this process is to be told."""
    process = _Process(ServiceSettings(store_url=shard.url, shutdown_grace=timedelta(seconds=0.01)))
    text, token_id = await make_token(shard)
    metadata = [("authorization", f"Bearer {text}")]
    beat, is_known = process.shard.processes.beat, asyncio.Event()

    async def after_a_call(*arguments: Any) -> bool:
        await process.authentication.grant_of(metadata)
        await shard.tokens.revoke("default", [token_id])
        fresh = await beat(*arguments)
        is_known.set()
        return fresh

    monkeypatch.setattr(process.shard.processes, "beat", after_a_call)
    async with in_process(process), asyncio.timeout(10):
        await is_known.wait()
        with pytest.raises(TokenRevoked):
            await process.authentication.grant_of(metadata)
