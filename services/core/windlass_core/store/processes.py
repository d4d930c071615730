"""Owns which processes are alive and where they listen."""

from typing import Literal, TypeAlias

from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts

ServiceName: TypeAlias = Literal["api", "dispatcher", "scheduler"]


class Processes:
    """Presence in one shard. Every method raises StoreUnavailable."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def beat(self, service: ServiceName, inc: str, address: str, ttl_ms: int, load: int | None = None) -> bool:
        """Says that an incarnation is alive for `ttl_ms`; `load` where it isn't what it was.

        Returns whether it wasn't known to be: its boxes may have been removed.
        """
        told = -1 if load is None else load
        return bool(await self._scripts.call("presence_beat", (service, inc, address, ttl_ms, told)))

    async def leave(self, service: ServiceName, inc: str) -> None:
        """An incarnation leaves; its boxes go with it."""
        await self._scripts.call("presence_end", (service, inc))

    async def bury(self, service: ServiceName) -> int:
        """Removes the boxes of those that fell silent. Returns how many there were."""
        buried: int = await self._scripts.call("presence_end", (service, ""))
        return buried

    async def loads(self, service: ServiceName) -> dict[str, int]:
        """Incarnation → open streams, as it told last."""
        loads = await self._reader.one("HGETALL", self._keys.of("loads", service=service))
        return {inc.decode(): int(load) for inc, load in loads.items()}

    async def alive(self, service: ServiceName) -> dict[str, str]:
        """Incarnation → address of those whose presence has not expired."""
        seconds, micros = await self._reader.one("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        presence = self._keys.of("presence", service=service)
        live, addresses = await self._reader.many(
            [
                ("ZRANGE", presence, now_ms, "+inf", "BYSCORE"),
                ("HGETALL", self._keys.of("addresses", service=service)),
            ]
        )
        return {inc.decode(): addresses[inc].decode() for inc in live if inc in addresses}
