"""Owns what a worker offers: how many attempts at a time, of which queues, and what placement may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from windlass.exceptions import InvalidConfig
from windlass.placement import MOST_SLOTS, read_pools, read_worker_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from windlass.placement import LabelValue


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker offers.

    Attributes:
        slots: of the pool "default".
        pools: slots of the others.
        labels: the worker's.
        queues: those that it serves; none: all.

    """

    slots: int
    pools: dict[str, int]
    labels: dict[str, str]
    queues: list[str]

    @property
    def all_slots(self) -> int:
        """Slots of all pools."""
        return self.slots + sum(self.pools.values())


def read_offer(
    slots: int,
    pools: Mapping[str, int] | None,
    labels: Mapping[str, LabelValue] | None,
    queues: Iterable[str] | None,
) -> Offer:
    """Read it as users give it. Raises InvalidConfig where a value is out of its range."""
    if isinstance(slots, bool) or not 1 <= slots <= MOST_SLOTS:
        raise InvalidConfig(f"slots={slots!r}: 1 to {MOST_SLOTS:,} were expected")
    if isinstance(queues, str):
        raise InvalidConfig(f"queues={queues!r}: a list of names was expected")
    try:
        return Offer(slots, dict(read_pools(pools)), dict(read_worker_labels(labels)), list(queues or ()))
    except (TypeError, ValueError) as error:
        raise InvalidConfig(str(error)) from None
