"""Owns how the store is reached and which settings it must have.

Two kinds of connections: those for commands have a timeout, those that block on a list have none.
"""

from contextlib import suppress

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from windlass_core.store.examination import LISTPACK_VALUE, Finding, examine
from windlass_core.tls import SYSTEM_TLS, StoreTls

_log = structlog.get_logger(__name__)

SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")
TLS_SCHEMES = ("rediss://", "valkeys://")
COMMAND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0
# Commands beyond so many at once wait for one of them to end.
MAX_CONNECTIONS = 64


class StoreRefused(Exception):
    """The store can't be used as it is: not reachable, too old, or set to lose data."""


def connect(url: str, tls: StoreTls = SYSTEM_TLS, *, blocking: bool = False) -> "Redis":
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
        **(tls.options() if url.startswith("rediss://") else {}),
        # Who called decides whether to repeat: a script may have run although its reply was lost.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)


async def check_store(redis: "Redis", url: str) -> None:
    """Makes sure that the store keeps what it is given, and logs what is less than right. Raises StoreRefused."""
    for finding in await refuse_unfit(redis, url):
        _log.warning("store is not as it should be", found=finding.said, remedy=finding.remedy)


async def refuse_unfit(redis: "Redis", url: str) -> tuple[Finding, ...]:
    """What is less than right at a store that can be used. Raises StoreRefused and says what to do."""
    try:
        with suppress(ResponseError):  # it may be forbidden; what comes of it is found below
            await redis.config_set("hash-max-listpack-value", LISTPACK_VALUE)
        found = await examine(redis)
    except (RedisError, OSError) as error:
        raise StoreRefused(
            f"can't reach the store at {redact(url)}: {error}. Is it running, and is WINDLASS_STORE_URL right?"
        ) from error
    for finding in found.findings:
        if finding.fatal:
            raise StoreRefused(f"the store at {redact(url)} can't be used: {finding.said}; {finding.remedy}")
    return found.findings


def redact(url: str) -> str:
    """The URL without its password, for messages."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
