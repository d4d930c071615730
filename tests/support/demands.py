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


def owner_of(group: str) -> str:
    """The worker whose own group it is, "" for all others."""
    name = group.split("|")[1]
    return name.removeprefix("=") if name.startswith("=") else ""


def serves(s: Snapshot, group: str, flow: str) -> bool:
    """Whether a group's workers can take a flow's runs."""
    namespace, queue, task, *_ = flow.split("|")
    fields, demand = s.hash(f"g:{group}"), demand_of(s, flow)
    if demand is None or namespace != group.partition("|")[0]:
        return False
    if (demand.pool, demand.worker if demand.hard else "") != (pool_of(group), owner_of(group)):
        return False
    queues = unpack(fields["queues"])
    tasks = s.set(f"gt:{fields['as'].decode() if 'as' in fields else group}")
    return "gone" in fields or (
        (not queues or queue.encode() in queues) and task in tasks and _satisfies(fields.get("labels"), demand)
    )


def _satisfies(packed: bytes | None, demand: Demanded) -> bool:
    labels = unpack(packed) if packed else {}
    return all(_holds(labels.get(name), *rest) for name, *rest, _weight in demand.required)


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
