"""Owns which lanes the runs of a flow wait in, for those who count them."""

from collections.abc import Sequence
from itertools import chain

from windlass_core.domain.levels import LEVELS
from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader


async def lane_keys(reader: Reader, keys: Keys, flows: Sequence[str]) -> list[list[str]]:
    """For each flow the keys of its lanes, of which any may be empty. Raises StoreUnavailable."""
    gated = await reader.many([("SMEMBERS", keys.of("flow_lanes", flow=flow)) for flow in flows])
    return [
        [keys.of("lane", lane=lane) for lane in (*(f"{flow}/{level}" for level in LEVELS), *_text(members))]
        for flow, members in zip(flows, gated, strict=True)
    ]


async def depths(reader: Reader, keys: Keys, flows: Sequence[str]) -> list[int]:
    """For each flow how many ready runs wait in it. Raises StoreUnavailable."""
    lanes = await lane_keys(reader, keys, flows)
    replies = iter(await reader.many([("ZCARD", key) for key in chain.from_iterable(lanes)]))
    return [sum(next(replies) for _ in each) for each in lanes]


def _text(members: Sequence[bytes]) -> list[str]:
    return [member.decode() for member in members]
