"""Owns the Lua files: puts their includes in, and calls them with msgpack in and out."""

from functools import cache
from importlib.resources import files
from time import perf_counter
from typing import Any

import msgpack
from redis.exceptions import NoScriptError

from windlass_core.store.connection import COMMAND_TIMEOUT_S
from windlass_core.store.failures import store_errors
from windlass_core.store.linking import linked, with_keys
from windlass_core.store.links import Links
from windlass_core.store.pruning import without_unused

_LUA = files("windlass_core.store") / "lua"


def script_names() -> list[str]:
    """The scripts that can be called: those with a `#!lua` line; the others are included."""
    names = (entry.name for entry in _LUA.iterdir() if entry.name.endswith(".lua"))
    return sorted(n[:-4] for n in names if _LUA.joinpath(n).read_text().startswith("#!lua"))


@cache
def script_text(name: str) -> str:
    """A script with what it uses of its includes, as the store gets it."""
    return with_keys(without_unused(linked(_read(name), _read)))


def _read(name: str) -> str:
    return (_LUA / f"{name}.lua").read_text()


def pack(value: object) -> bytes:
    """What scripts take as an argument. Lua's msgpack knows one kind of string, the older one."""
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed


def unpack(value: bytes) -> Any:
    """What scripts return, and what they put into boxes. Strings come as bytes."""
    return msgpack.unpackb(value, raw=True, strict_map_key=False)


class Watcher:
    """Sees what scripts are called and what they tell of traced runs. This one looks away."""

    def called(self, name: str, seconds: float) -> None:
        """A script has answered after so long."""

    def traced(self, notes: list[list[Any]]) -> None:
        """What happened to traced runs; lua/traced.lua has the shape."""


class Scripts:
    """The scripts of one shard, callable by name."""

    def __init__(self, links: Links, prefix: str) -> None:
        self._links = links
        self._prefix = prefix
        self._shas: dict[str, bytes] = {}
        self.watcher = Watcher()

    async def call(self, name: str, argument: object) -> Any:
        """Runs a script with one argument. Raises StoreUnavailable, StoreFull."""
        packed = pack(argument)
        asked = perf_counter()
        with store_errors():
            sha = self._shas.get(name) or await self._load(name)
            try:
                reply = await self._run(sha, packed)
            except NoScriptError:
                reply = await self._run(await self._load(name), packed)
        self.watcher.called(name, perf_counter() - asked)
        return unpack(reply)

    async def step(self, name: str, argument: object) -> Any:
        """As `call`, for scripts that tell what they did to traced runs."""
        result, notes = await self.call(name, argument)
        if notes:
            self.watcher.traced(notes)
        return result

    async def _run(self, sha: bytes, packed: bytes) -> Any:
        return await self._links.ask("EVALSHA", sha, 1, self._prefix, packed, patience_s=COMMAND_TIMEOUT_S)

    async def _load(self, name: str) -> bytes:
        sha: bytes = await self._links.ask("SCRIPT", "LOAD", script_text(name), patience_s=COMMAND_TIMEOUT_S)
        self._shas[name] = sha
        return sha
