"""Owns what keeps runs waiting though there is room for them: what is paused by hand."""

from collections.abc import Callable, Sequence
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

    async def parked_at(self, flow: str, place: str) -> str:
        """The gate that keeps the runs of a place in a flow waiting, for people; empty where none does."""
        at = await self._reader.one("HGET", self._keys.of("lane_meta", lane=f"{flow}/{place}"), "at")
        kind, _, key = (at or b"").decode().partition(":")
        return _SHOWN[kind](key) if kind in _SHOWN else ""


# What follows the kind in a gate's name begins with the namespace, and of a concurrency key goes on with
# the workflow and the place in its definition.
_SHOWN: dict[str, Callable[[str], str]] = {
    "c": lambda key: f"a permit of its concurrency key {key.split('|', 3)[3]!r}",
    "r": lambda key: f"units of the rate limit {key.split('|', 1)[1].removeprefix('=')!r}",
    "workflow": lambda _: "the end of its workflow's pause",
    "queue": lambda _: "the end of its queue's pause",
}


def _names(namespace: str, workflows: Sequence[str], queues: Sequence[str]) -> list[str]:
    """The gates, as gates.lua spells them."""
    of_workflows = [f"workflow:{namespace}|{name}" for name in workflows]
    return of_workflows + [f"queue:{namespace}|{name}" for name in queues]
