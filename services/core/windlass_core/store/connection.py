"""Owns how the store is reached and which settings it must have.

Two kinds of connections: those for commands have a timeout, those that block on a list have none.
"""

from typing import Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")
COMMAND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0
# Commands beyond so many at once wait for one of them to end.
MAX_CONNECTIONS = 64
MIN_REDIS = (7, 0)
MIN_VALKEY = (7, 2)
LISTPACK_VALUE = 2048


class StoreRefused(Exception):
    """The store can't be used as it is: not reachable, too old, or set to lose data."""


def connect(url: str, *, blocking: bool = False) -> "Redis":
    """A client for the URL; connects on first use. `blocking`: for commands that wait."""
    for alias, scheme in (("valkeys://", "rediss://"), ("valkey://", "redis://")):
        if url.startswith(alias):
            url = scheme + url.removeprefix(alias)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        socket_timeout=None if blocking else COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        **({} if url.startswith("unix://") else {"socket_keepalive": True}),
        # Who called decides whether to repeat: a script may have run although its reply was lost.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)


def _version(info: dict[str, Any]) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    if "valkey_version" in info:
        name, text, least = "Valkey", str(info["valkey_version"]), MIN_VALKEY
    else:
        name, text, least = "Redis", str(info["redis_version"]), MIN_REDIS
    return f"{name} {text}", tuple(int(part) for part in text.split(".")[:2]), least


async def check_store(redis: "Redis", url: str) -> None:
    """Makes sure that the store keeps what it is given. Raises StoreRefused and says what to do."""
    try:
        info: dict[str, Any] = await redis.info()
    except (RedisError, OSError) as error:
        raise StoreRefused(
            f"can't reach the store at {redact(url)}: {error}. Is it running, and is WINDLASS_STORE_URL right?"
        ) from error
    name, version, least = _version(info)
    if version < least:
        needed = ".".join(map(str, least))
        raise StoreRefused(f"{name} at {redact(url)} is too old: {needed} or newer is needed")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreRefused(
            f"the store at {redact(url)} may evict runs: maxmemory-policy is {policy}. "
            "Set `maxmemory-policy noeviction`"
        )
    if not info.get("aof_enabled"):
        _log.warning("store keeps no append-only file: a restart of it loses runs", set="appendonly yes")
    try:
        await redis.config_set("hash-max-listpack-value", LISTPACK_VALUE)
    except RedisError:
        _log.warning(
            "store's settings can't be changed: runs take twice the memory",
            set=f"hash-max-listpack-value {LISTPACK_VALUE}",
        )


def redact(url: str) -> str:
    """The URL without its password, for messages."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
