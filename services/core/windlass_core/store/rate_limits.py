"""Owns the rate limits that were put: their units and windows, and what is used of them now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class StoredRateLimit:
    """A limit, and the window that is open now: `used` units until `resets_ms`, since 1970 UTC; 0: none is."""

    name: str
    limit: int
    window_ms: int
    used: int
    resets_ms: int


class RateLimits:
    """The rate limits of one shard. Every method raises StoreUnavailable, `put` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def put(self, namespace: str, name: str, limit: int, window_ms: int) -> bool:
        """Makes a limit of so many units per window, or changes it at once. Returns whether it is new."""
        return bool(await self._scripts.call("rate_limit_put", (namespace, name, limit, window_ms)))

    async def delete(self, namespace: str, name: str) -> bool:
        """Forgets a limit; runs that need it wait until it is put again. Returns whether there was one."""
        return bool(await self._scripts.call("rate_limit_delete", (namespace, name)))

    async def limits(self, namespace: str, names: Sequence[str]) -> dict[str, int]:
        """Units per window of those that somebody has put."""
        replies = await self._reader.many([("HGET", self._key(namespace, name), "limit") for name in names])
        return {name: int(limit) for name, limit in zip(names, replies, strict=True) if limit is not None}

    async def all(self, namespace: str) -> list[StoredRateLimit]:
        """All that were put, by name."""
        members = await self._reader.one("SMEMBERS", self._keys.of("rates", ns=namespace))
        names = sorted(member.decode() for member in members)
        fields = ("limit", "window", "start", "used")
        commands: list[tuple[str | int, ...]] = [("HMGET", self._key(namespace, name), *fields) for name in names]
        (seconds, micros), *replies = await self._reader.many([("TIME",), *commands])
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return [
            _to_limit(name, reply, now_ms)
            for name, reply in zip(names, replies, strict=True)
            # One may have been deleted between the two reads.
            if reply[0] is not None
        ]

    def _key(self, namespace: str, name: str) -> str:
        return self._keys.of("rate", key=f"{namespace}|{name}")


def _to_limit(name: str, fields: Sequence[Any], now_ms: int) -> StoredRateLimit:
    limit, window, start, used = (int(field or 0) for field in fields)
    is_open = start + window > now_ms
    return StoredRateLimit(name, limit, window, used if is_open else 0, start + window if is_open else 0)
