"""Owns what keeps runs waiting though there is room for them: what is paused by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Paused:
    """What is paused in a namespace."""

    workflows: frozenset[str]
    queues: frozenset[str]


class Gates:
    """The gates of one shard. Every method raises StoreUnavailable, `pause` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def pause(self, namespace: str, *, workflows: Sequence[str] = (), queues: Sequence[str] = ()) -> list[bool]:
        """Starts nothing more of these. Returns for each, workflows first, whether it went on till now."""
        changed = await self._scripts.call("gate_pause", (namespace, _names(namespace, workflows, queues)))
        return [bool(flag) for flag in changed]

    async def resume(self, namespace: str, *, workflows: Sequence[str] = (), queues: Sequence[str] = ()) -> list[bool]:
        """Lets these go on. Returns for each, workflows first, whether it was paused till now."""
        changed = await self._scripts.call("gate_resume", (namespace, _names(namespace, workflows, queues)))
        return [bool(flag) for flag in changed]

    async def paused(self, namespace: str) -> Paused:
        """What is paused now."""
        members = await self._reader.one("SMEMBERS", self._keys.of("paused", ns=namespace))
        pairs = [member.decode().split(":", 1) for member in members]
        named = [(kind, gate.partition("|")[2]) for kind, gate in pairs]
        return Paused(
            workflows=frozenset(name for kind, name in named if kind == "workflow"),
            queues=frozenset(name for kind, name in named if kind == "queue"),
        )


def _names(namespace: str, workflows: Sequence[str], queues: Sequence[str]) -> list[str]:
    """The gates, as gates.lua spells them."""
    of_workflows = [f"workflow:{namespace}|{name}" for name in workflows]
    return of_workflows + [f"queue:{namespace}|{name}" for name in queues]
