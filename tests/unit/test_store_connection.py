"""Which stores are refused, and what the client's errors mean."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions

from windlass_core.domain.errors import StoreFull, StoreUnavailable
from windlass_core.store.connection import StoreRefused, check_store, connect, redact
from windlass_core.store.examination import product_version
from windlass_core.store.failures import store_errors
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_good_store_is_taken(shard: Shard) -> None:
    """And set so that small runs stay small."""
    await shard.redis.config_set("hash-max-listpack-value", 64)
    await check_store(shard.redis, shard.url)
    assert await shard.redis.config_get("hash-max-listpack-value") == {"hash-max-listpack-value": "2048"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_a_store_that_may_evict_is_refused(shard: Shard, policy: str) -> None:
    """It would lose runs without a word; the message says what to set."""
    await shard.redis.config_set("maxmemory-policy", policy)
    with pytest.raises(StoreRefused, match=f"maxmemory-policy is {policy}.*noeviction"):
        await check_store(shard.redis, shard.url)


async def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The message has the address, and what to look at."""
    url = f"unix://{tmp_path}/nowhere.sock"
    redis = connect(url)
    with pytest.raises(StoreRefused, match=r"can't reach the store at unix://.*WINDLASS_STORE_URL"):
        await check_store(redis, url)
    await redis.aclose()


async def test_something_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """It answers, but in another language."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    url = f"unix://{tmp_path}/web.sock"
    redis = connect(url)
    async with await asyncio.start_unix_server(answer, f"{tmp_path}/web.sock"):
        with pytest.raises(StoreRefused, match="can't reach the store"):
            await check_store(redis, url)
    await redis.aclose()


@pytest.mark.parametrize(
    ("info", "good"),
    [
        ({"redis_version": "6.2.14"}, False),
        ({"redis_version": "7.0.0"}, True),
        ({"redis_version": "8.2.1"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.9"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "9.0.0"}, True),
    ],
)
def test_old_versions_are_told_from_good_ones(info: dict[str, str], good: bool) -> None:
    """Redis and Valkey count differently: no old server is at hand, so this is what it would say."""
    _name, version, least = product_version(info)
    assert (version >= least) == good


def test_passwords_are_not_shown() -> None:
    """In no message."""
    assert redact("redis://user:secret@host:1/0") == "redis://host:1/0"
    assert redact("redis://:p@ss@host:1") == "redis://host:1"
    assert redact("unix:///run/store.sock") == "unix:///run/store.sock"


async def test_a_store_that_goes_away_is_unavailable(tmp_path: Path) -> None:
    """For commands and for waiting; a try later may succeed."""
    shard = Shard(f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(StoreUnavailable) as raised:
        await shard.runs.get("default", ["x"])
    assert raised.value.retry_after_ms > 0
    with pytest.raises(StoreUnavailable):
        await shard.pop("box", 1)
    with pytest.raises(StoreUnavailable):
        await shard.scheduling.fire()
    await shard.close()
    await shard.close()


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (exceptions.ConnectionError(), StoreUnavailable),
        (exceptions.TimeoutError(), StoreUnavailable),
        (exceptions.BusyLoadingError(), StoreUnavailable),
        (exceptions.ReadOnlyError(), StoreUnavailable),
        (exceptions.ClusterDownError("down"), StoreUnavailable),
        (OSError(), StoreUnavailable),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left"), StoreUnavailable),
        (exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"), StoreUnavailable),
        (exceptions.OutOfMemoryError(), StoreFull),
        (exceptions.ResponseError("OOM command not allowed"), StoreFull),
        (exceptions.ResponseError("script: a fault of our own"), exceptions.ResponseError),
    ],
)
async def test_the_clients_errors_have_a_meaning(error: Exception, meaning: type[Exception]) -> None:
    """What may pass by waiting, and what is a fault."""
    with pytest.raises(Exception) as raised, store_errors():  # noqa: PT011 - its type is what is tested
        raise error
    assert type(raised.value) is meaning


async def test_waiting_for_a_box_ends_when_something_is_in_it(shard: Shard) -> None:
    """And takes no more than it was asked to."""
    waiting = asyncio.create_task(shard.pop("box", 2, timeout_s=30))
    await shard.redis.rpush("box", "a", "b", "c")
    assert await waiting == [b"a", b"b"]
    assert await shard.pop("box", 2, timeout_s=30) == [b"c"]
    assert await shard.pop("box", 2, timeout_s=0.01) == []


async def test_more_commands_than_connections_wait_for_each_other(shard: Shard) -> None:
    """As when a dispatcher looks up a batch of failures, or a thousand workers say Hello."""
    answers = await asyncio.gather(*(shard.runs.get("default", ["nobody's"]) for _ in range(300)))
    assert answers == [[None]] * 300
    clients: list[dict[str, str]] = await shard.redis.client_list()
    assert len(clients) < 100


async def test_a_store_that_takes_no_writes_for_now_is_waited_for(shard: Shard) -> None:
    """As with a full disk: no fault of a script's, which would end the process."""
    await shard.redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StoreUnavailable, match="takes no commands for now"):
            await shard.scheduling.fire()
    finally:
        await shard.redis.config_set("min-replicas-to-write", 0)
    assert (await shard.scheduling.fire()).count == 0


async def test_a_connection_that_the_store_has_closed_is_replaced_unseen(shard: Shard) -> None:
    """As after a restart of the store, or its `timeout`: what is asked next doesn't fail."""
    assert (await shard.scheduling.fire()).count == 0
    redis: Any = shard.redis
    mine = await redis.client_id()
    others = [client["id"] for client in await redis.client_list() if int(client["id"]) != mine]
    assert others
    for client in others:
        await redis.execute_command("CLIENT", "KILL", "ID", client)
    # The replies come after the ends of the connections that they speak of, and each through the loop.
    await redis.ping()
    assert (await shard.scheduling.fire()).count == 0


async def test_a_store_that_stands_still_is_unavailable_in_the_end(shard: Shard) -> None:
    """A reply that doesn't come ends the connection: the next command must not read it as its own."""
    waiting = asyncio.create_task(shard._links.ask("BLMPOP", 0, 1, "box", "LEFT", patience_s=0.05))
    with pytest.raises(exceptions.TimeoutError, match=r"no reply within 0\.05 s"):
        await waiting
    await shard.redis.rpush("box", "a")
    assert await shard.pop("box", 1, timeout_s=30) == [b"a"]


async def test_a_caller_that_gives_up_leaves_no_reply_behind(shard: Shard) -> None:
    """Cancelled in the middle of a command, as at a service's end."""
    waiting = asyncio.create_task(shard.pop("box", 1, timeout_s=30))
    while not (await shard.redis.info("clients"))["blocked_clients"]:
        assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await shard.scheduling.fire()).count == 0


async def test_a_primary_that_is_one_no_more_is_left(shard: Shard) -> None:
    """Its name may be another's by now; on the open connections it would refuse all writes for ever."""
    both = [asyncio.create_task(shard.scheduling.fire()) for _ in range(2)]
    await asyncio.gather(*both)
    assert len(shard._links._idle) == 2
    redis: Any = shard.redis
    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreUnavailable, match="read only"):
            await shard.scheduling.fire()
        assert not shard._links._idle
    finally:
        await redis.execute_command("REPLICAOF", "NO", "ONE")
    assert (await shard.scheduling.fire()).count == 0
