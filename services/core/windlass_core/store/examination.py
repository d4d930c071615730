"""Owns what is asked of a store before it is trusted with runs: its version and its settings.

Changes nothing. What follows from what is found is left to whoever asked.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

MIN_REDIS = (7, 0)
MIN_VALKEY = (7, 2)
LISTPACK_VALUE = 2048
# From here on the store may be full soon.
_NEARLY_FULL = 0.85


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `fatal`: runs would be lost, or nothing would work."""

    fatal: bool
    said: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Examination:
    """A store as it stands. A limit of 0 bytes: none."""

    product: str
    now_ms: int
    latency_us: int
    used_bytes: int
    limit_bytes: int
    findings: tuple[Finding, ...]


async def examine(redis: "Redis") -> Examination:
    """Looks at a store. Raises RedisError, OSError where it does not answer."""
    client: Any = redis
    info: dict[str, Any] = await client.info()
    began = time.perf_counter()
    seconds, micros = await client.time()
    latency_s = time.perf_counter() - began
    try:
        listpack = int((await client.config_get("hash-max-listpack-value"))["hash-max-listpack-value"])
    except (RedisError, KeyError):  # it may be forbidden to ask
        listpack = LISTPACK_VALUE
    return Examination(
        product=product_version(info)[0],
        now_ms=int(seconds) * 1000 + int(micros) // 1000,
        latency_us=round(latency_s * 1_000_000),
        used_bytes=int(info.get("used_memory", 0)),
        limit_bytes=int(info.get("maxmemory", 0)),
        findings=tuple(find(info, listpack)),
    )


def find(info: dict[str, Any], listpack_value: int) -> list[Finding]:
    """What is wrong, by what INFO says; what services do not start with comes first."""
    found: list[Finding] = []
    product, version, least = product_version(info)
    if version < least:
        found.append(Finding(True, f"{product} is too old", f"use {'.'.join(map(str, least))} or newer"))
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        said = f"it may evict runs: maxmemory-policy is {policy}"
        found.append(Finding(True, said, "set `maxmemory-policy noeviction`"))
    if not info.get("aof_enabled"):
        said = "it keeps no append-only file: a restart of it loses runs"
        found.append(Finding(False, said, "set `appendonly yes`"))
    if listpack_value < LISTPACK_VALUE:
        said = f"hash-max-listpack-value is {listpack_value}: runs take twice the memory"
        found.append(Finding(False, said, f"set `hash-max-listpack-value {LISTPACK_VALUE}`"))
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used > limit * _NEARLY_FULL:
        said = f"its memory is {used / limit:.0%} full: new work is refused when it is full"
        found.append(Finding(False, said, "raise `maxmemory`, or lower WINDLASS_RETENTION"))
    return found


def product_version(info: dict[str, Any]) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Name with version, version, and the least version that will do."""
    if "valkey_version" in info:
        name, text, least = "Valkey", str(info["valkey_version"]), MIN_VALKEY
    else:
        name, text, least = "Redis", str(info["redis_version"]), MIN_REDIS
    return f"{name} {text}", tuple(int(part) for part in text.split(".")[:2]), least
