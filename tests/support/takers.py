"""Owns what tests of placement say of a run and ask of the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass_core.domain.placement import Demand, Label

if TYPE_CHECKING:
    from tests.support.world import World


EQUAL, NOT_EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL = range(1, 7)


def needs(name: str, value: str, comparator: int = EQUAL, weight: int = 0) -> Demand:
    """A demand of one label; required without a weight."""
    return Demand(labels=(Label(name, comparator, value, weight),))


async def takers(world: World) -> list[str]:
    """The workers that were given something, in the order of the attempts."""
    return [worker for worker, _ in await world.delivered()]
