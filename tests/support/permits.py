"""Owns what tests ask of concurrency keys: how many permits are out, and which runs go on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


_UNDER_WAY = {Phase.LEASED, Phase.RUNNING}


async def permits_out(world: World) -> Counter[str]:
    """Value of a key → permits out."""
    s = await world.look()
    return Counter({key.rpartition("|")[2]: len(s.zset(name)) for name, (key,) in s.keys_of("permits").items()})


async def under_way(world: World, *runs: str) -> list[str]:
    """Those of the runs that a worker has."""
    phases = (await world.look()).phases()
    return [run for run in runs if phases[run] in _UNDER_WAY]
