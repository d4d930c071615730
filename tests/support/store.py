"""A store server of the test session's own, emptied before each test, and one shard of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.support.world import World
from windlass_core.local import LocalCluster
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def store_server() -> Iterator[str]:
    """Give the URL of a private server that runs as long as the tests do."""
    with LocalCluster(apis=0, dispatchers=0, schedulers=0) as cluster:
        yield cluster.store_url


@pytest.fixture
def store_url(store_server: str) -> str:
    """Give the URL of the server, which is empty and set as at its start."""
    with Redis.from_url(store_server) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    return store_server


@pytest.fixture
async def shard(store_url: str) -> AsyncIterator[Shard]:
    """Give a shard with nothing in it."""
    shard = Shard(store_url)
    yield shard
    await shard.close()


@pytest.fixture
async def world(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a shard with a live api `a1` and a live dispatcher `d1`, audited after every script."""
    world = World(shard)
    monkeypatch.setattr(shard.runs._scripts, "call", world.audited(shard.runs._scripts.call))
    await shard.processes.beat("api", "a1", "127.0.0.1:1", 600_000)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    return world
