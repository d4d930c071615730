"""What groups serve, said a second time and in Python: the audit's opinion of placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from tests.support.snapshot import Snapshot

_HOLDS = {
    1: lambda a, b: a == b,
    2: lambda a, b: a != b,
    3: lambda a, b: a > b,
    4: lambda a, b: a >= b,
    5: lambda a, b: a < b,
    6: lambda a, b: a <= b,
}


@dataclass(frozen=True)
class Demanded:
    """What the runs of a flow ask of a worker."""

    cost: int = 1
    pool: str = "default"
    worker: str = ""
    hard: bool = False
    required: tuple[Any, ...] = ()


def demand_of(s: Snapshot, flow: str) -> Demanded | None:
    """A flow's demand; None: it should have one and has none."""
    if flow.count("|") == 2:
        return Demanded()
    if f"de:{flow}" not in s.values:
        return None
    cost, pool, worker, hard, required, _weighted = unpack(s.values[f"de:{flow}"])
    return Demanded(cost, pool.decode(), worker.decode(), bool(hard), tuple(map(tuple, required)))


def pool_of(group: str) -> str:
    """The pool that a group's workers have in common."""
    return (*group.split("|"), "default")[2]


def satisfies(s: Snapshot, group: str, demand: Demanded | None) -> bool:
    """Whether a group's workers are such as are demanded."""
    packed = s.hash(f"g:{group}").get("labels")
    labels = unpack(packed) if packed else {}
    return (
        demand is not None
        and demand.pool == pool_of(group)
        and all(
            _holds(labels.get(name), comparator, text, number) for name, comparator, text, number, _ in demand.required
        )
    )


def _holds(has: Any, comparator: int, text: bytes, number: Any) -> bool:
    if has is None:
        return comparator == 2
    both = number is not False and has[1] is not False
    return bool(_HOLDS[comparator](has[1], number) if both else _HOLDS[comparator](has[0], text))


def places_of(fields: dict[str, bytes]) -> list[tuple[str, str, int]]:
    """A worker's places, as (group, pool, slots)."""
    further = unpack(fields["pl"]) if "pl" in fields else []
    return [
        (fields["group"].decode(), "default", int(fields["slots"])),
        *((group.decode(), pool.decode(), slots) for group, pool, slots in further),
    ]
