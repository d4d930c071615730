"""Owns one shard: its keys, its connections, and the typed methods over its scripts."""

from typing import TYPE_CHECKING, Any

from windlass_core.store.connection import MAX_CONNECTIONS, connect
from windlass_core.store.crons import Crons
from windlass_core.store.definitions import Definitions
from windlass_core.store.failures import store_errors
from windlass_core.store.figures import FiguresReader
from windlass_core.store.gates import Gates
from windlass_core.store.hooks import Hooks
from windlass_core.store.keys import Keys
from windlass_core.store.links import Links
from windlass_core.store.processes import Processes
from windlass_core.store.rate_limits import RateLimits
from windlass_core.store.reader import Reader
from windlass_core.store.runs import Runs
from windlass_core.store.scheduled import ScheduledRuns
from windlass_core.store.scheduling import Scheduling
from windlass_core.store.scripts import Scripts
from windlass_core.store.tokens import Tokens
from windlass_core.store.workers import Workers
from windlass_core.tls import SYSTEM_TLS, StoreTls

if TYPE_CHECKING:
    from redis.asyncio import Redis

BLOCK_S = 60.0
# A reply that is so much later than the block's own timeout will not come any more.
_LATE_S = 15.0


class Shard:
    """All that a service does with one shard of the store."""

    def __init__(self, url: str, tls: StoreTls = SYSTEM_TLS, number: int = 0) -> None:
        self.url = url
        self.keys = Keys(number)
        self.redis: Redis = connect(url, tls)
        # Without a timeout of their own: each command brings its patience with it.
        self._links = Links(connect(url, tls, blocking=True).connection_pool, MAX_CONNECTIONS)
        self.scripts = scripts = Scripts(self._links, self.keys.prefix)
        self._reader = reader = Reader(self.redis)
        self.runs = Runs(reader, scripts, self.keys)
        self.crons = Crons(reader, scripts, self.keys)
        self.hooks = Hooks(scripts)
        self.scheduled = ScheduledRuns(reader, scripts, self.keys)
        self.workers = Workers(reader, scripts, self.keys)
        self.scheduling = Scheduling(scripts)
        self.gates = Gates(reader, scripts, self.keys)
        self.rate_limits = RateLimits(reader, scripts, self.keys)
        self.definitions = Definitions(reader, scripts, self.keys)
        self.processes = Processes(reader, scripts, self.keys)
        self.tokens = Tokens(reader, scripts, self.keys)
        self.figures = FiguresReader(reader, self.workers, self.keys)

    async def pop(self, key: str, count: int, timeout_s: float = BLOCK_S) -> list[bytes]:
        """Waits for entries of a list and takes up to `count`; empty after `timeout_s` seconds.

        Raises StoreUnavailable.
        """
        with store_errors():
            command = ("BLMPOP", timeout_s, 1, key, "LEFT", "COUNT", count)
            reply: Any = await self._links.ask(*command, patience_s=timeout_s + _LATE_S)
        return reply[1] if reply else []

    async def ping(self) -> None:
        """Returns once the store has answered. Raises StoreUnavailable."""
        await self._reader.one("PING")

    async def close(self) -> None:
        """Closes all connections. May be called twice."""
        await self._links.close()
        await self.redis.aclose()
