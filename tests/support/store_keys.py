"""Owns reading a store's keys by family, as `windlass_core.store.keys` documents them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from redis import Redis

from windlass_core.store.keys import FAMILIES, prefix
from windlass_core.store.scripts import pack, script_text, unpack

if TYPE_CHECKING:
    from types import TracebackType

PREFIX: Final = prefix(0)
_PATTERNS: Final = {f.name: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(f.pattern))) for f in FAMILIES}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is there. `parts` are what its family's pattern has in braces."""

    name: str
    family: str
    parts: dict[str, str]


class StoreKeys:
    """The keys of a store's only shard."""

    def __init__(self, url: str) -> None:
        """Connect at the first use."""
        self.redis: Any = Redis.from_url(url, decode_responses=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.redis.close()

    def all(self) -> list[Key]:
        """Every key in the store, as of one moment. Raises AssertionError for one that no family documents."""
        return [key_of(name.decode()) for name in sorted(self.redis.keys())]

    def members(self, name: str) -> list[str]:
        """What a list, set, sorted set or hash has, as text."""
        key, redis = PREFIX + name, self.redis
        kind = redis.type(key)
        if kind == b"list":
            found = redis.lrange(key, 0, -1)
        elif kind == b"set":
            found = redis.smembers(key)
        elif kind == b"zset":
            found = redis.zrange(key, 0, -1)
        else:
            found = redis.hkeys(key)
        return [member.decode() for member in found]

    def field(self, name: str, field: str) -> str:
        """A field of a hash, as text; empty where there is none."""
        value: bytes | None = self.redis.hget(PREFIX + name, field)
        return (value or b"").decode()

    def expire_all(self) -> int:
        """Run the retention out: delete all runs that have ended. Returns how many."""
        deleted: int = 0
        while True:
            count, more = unpack(self.redis.eval(script_text("runs_expire"), 1, PREFIX, pack((0, 1000))))
            deleted += count
            if not more:
                return deleted


def key_of(name: str) -> Key:
    """A key's family and parts. Raises AssertionError for one that no family documents."""
    assert name.startswith(PREFIX), f"{name} is outside of the shard"
    rest = name.removeprefix(PREFIX)
    for family, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(rest):
            return Key(name, family, found.groupdict())
    raise AssertionError(f"{name} is of no documented family")
