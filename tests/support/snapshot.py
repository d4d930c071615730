"""Everything that a shard holds at one moment, by key; what it all means is the audit's business."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from windlass_core.domain.phase import Phase
from windlass_core.store.keys import FAMILIES, Family
from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from windlass_core.store.shard import Shard

_DUMP = """
local READ = {
  hash = function(key) return redis.call('HGETALL', key) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  string = function(key) return redis.call('GET', key) end,
}
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  all[#all + 1] = { key, kind, READ[kind](key), redis.call('PTTL', key) > 0 }
end
local stamp = redis.call('TIME')
return cmsgpack.pack({ stamp[1] * 1000 + math.floor(stamp[2] / 1000), all })
"""

# Longest literal start first, so that `e:` is not taken for `epoch`.
_PATTERNS = sorted(
    ((re.compile(re.sub(r"\\\{\w+\\\}", "(.+?)", re.escape(f.pattern)) + "$"), f) for f in FAMILIES),
    key=lambda pair: -len(pair[1].pattern.partition("{")[0]),
)


# A test looks at the same keys after every script.
@lru_cache(maxsize=100_000)
def family_of(key: str) -> tuple[Family, tuple[str, ...]] | None:
    """The family of a key without its prefix, and the parts of its name; None: it has none."""
    for pattern, family in _PATTERNS:
        if found := pattern.match(key):
            return family, found.groups()
    return None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Keys without their prefix. `families` has the parts of each key's name, `mortal` keys have a time to live."""

    now_ms: int
    kinds: dict[str, str]
    values: dict[str, Any]
    families: dict[str, dict[str, tuple[str, ...]]]
    strangers: list[str]
    mortal: set[str]
    _read: dict[str, Any] = field(default_factory=dict)

    def hash(self, key: str) -> dict[str, bytes]:
        """A hash, empty where there is none."""
        return cast("dict[str, bytes]", self._once(key, lambda flat: {n.decode(): v for n, v in _pairs(flat)}))

    def set(self, key: str) -> set[str]:
        """A set, empty where there is none."""
        return cast("set[str]", self._once(key, lambda flat: {member.decode() for member in flat}))

    def list(self, key: str) -> list[str]:
        """A list of text, empty where there is none."""
        return cast("list[str]", self._once(key, lambda flat: [entry.decode() for entry in flat]))

    def zset(self, key: str) -> dict[str, float]:
        """A sorted set in its order, empty where there is none."""
        return cast("dict[str, float]", self._once(key, lambda flat: {m.decode(): float(s) for m, s in _pairs(flat)}))

    def _once(self, key: str, read: Callable[[Any], object]) -> object:
        if key not in self._read:
            self._read[key] = read(self.values.get(key, []))
        return self._read[key]

    def keys_of(self, family: str) -> dict[str, tuple[str, ...]]:
        """The keys of a family that are there, with the parts of their names."""
        return self.families.get(family, {})

    def phases(self) -> dict[str, Phase]:
        """Run → phase."""
        return {parts[0]: Phase(self.hash(key)["ph"].decode()) for key, parts in self.keys_of("run").items()}


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(*[iter(flat)] * 2, strict=True)


async def take(shard: Shard) -> Snapshot:
    """Reads it all at once."""
    now_ms, entries = unpack(await shard.redis.eval(_DUMP, 0))
    prefix = shard.keys.prefix
    found = Snapshot(now_ms, {}, {}, {}, [], set())
    for key, kind, value, is_mortal in entries:
        full = key.decode()
        name = full.removeprefix(prefix)
        found.kinds[name] = kind.decode()
        found.values[name] = value
        if is_mortal:
            found.mortal.add(name)
        family = family_of(name) if full.startswith(prefix) else None
        if family is None:
            found.strangers.append(full)
        else:
            found.families.setdefault(family[0].name, {})[name] = family[1]
    return found
