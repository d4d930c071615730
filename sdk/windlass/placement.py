"""Owns how a task or a caller says which workers a run is for. Which one gets it is the engine's to decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from windlass.v1 import run_pb2, workflow_pb2

LabelValue: TypeAlias = str | int | float
DesiredWorkerLabels: TypeAlias = "Mapping[str, DesiredWorkerLabel]"

MOST_SLOTS: Final = 100_000
MOST_POOLS: Final = 20
MOST_SLOTS_OF_ONE: Final = 1_000
DEFAULT_POOL: Final = "default"
MOST_LABELS_OF_A_WORKER: Final = 100
_MOST_LABELS: Final = 20
_LONGEST_TEXT: Final = 200
_LONGEST_POOL: Final = 63
_MOST_WEIGHT: Final = 1_000_000
_POOL_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class WorkerLabelComparator(StrEnum):
    """How a worker's label is compared with the value asked for: as numbers where both are, else as text.

    Nothing holds for a label that the worker does not have, but NOT_EQUAL.
    """

    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_OR_EQUAL = "GREATER_THAN_OR_EQUAL"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_OR_EQUAL = "LESS_THAN_OR_EQUAL"


class StickyStrategy(StrEnum):
    """How strictly a run is bound to a worker.

    SOFT: there where it has room, else elsewhere.
    HARD: only there; it waits for it, and fails as WorkerGone once that is gone for good.
    """

    SOFT = "SOFT"
    HARD = "HARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredWorkerLabel:
    """A label that a worker must have, or should have.

    Args:
        value: what the worker's label is compared with.
        required: only workers where it holds get the run.
        weight: of workers with room, those go first where the weights that hold add up to more; 1 to
            1,000,000. Without meaning where it is required.
        comparator: how it is compared: the worker's on the left, `value` on the right.

    """

    value: LabelValue
    required: bool = False
    weight: int = 100
    comparator: WorkerLabelComparator = WorkerLabelComparator.EQUAL

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_label_value(self.value, "value")
        if self.required not in {True, False}:
            msg = f"required={self.required!r}: True or False was expected"
            raise ValueError(msg)
        if type(self.weight) is not int or not 1 <= self.weight <= _MOST_WEIGHT:
            msg = f"weight={self.weight!r}: a whole number from 1 to {_MOST_WEIGHT:,} was expected"
            raise ValueError(msg)
        object.__setattr__(self, "comparator", WorkerLabelComparator(self.comparator))

    def to_proto(self, name: str) -> workflow_pb2.DesiredLabel:
        """Write it as the contracts have it."""
        from windlass.v1 import workflow_pb2

        return workflow_pb2.DesiredLabel(
            name=name,
            value=str(self.value),
            comparator=workflow_pb2.LabelComparator.Value(f"LABEL_COMPARATOR_{self.comparator}"),
            required=self.required,
            weight=0 if self.required else self.weight,
        )


def check_label_value(value: object, name: str) -> str:
    """Give the text of a label's value. Raises TypeError, ValueError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        msg = f"{name}={value!r}: text or a number was expected"
        raise TypeError(msg)
    text = str(value)
    if len(text) > _LONGEST_TEXT:
        msg = f"{name}={text[:40]!r}…: at most {_LONGEST_TEXT} characters were expected"
        raise ValueError(msg)
    return text


def _check_label_name(name: object, of: str) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_TEXT:
        msg = f"{of}: a label's name of 1 to {_LONGEST_TEXT} characters was expected, not {name!r}"
        raise ValueError(msg)


def read_desired_labels(given: object) -> Mapping[str, DesiredWorkerLabel]:
    """Check `desired_worker_labels`. Raises TypeError, ValueError."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        msg = f"desired_worker_labels takes a dict of DesiredWorkerLabel by name, not {given!r}"
        raise TypeError(msg)
    if len(given) > _MOST_LABELS:
        msg = f"desired_worker_labels: at most {_MOST_LABELS} were expected, not {len(given)}"
        raise ValueError(msg)
    for name, label in given.items():
        _check_label_name(name, "desired_worker_labels")
        if not isinstance(label, DesiredWorkerLabel):
            msg = f"desired_worker_labels[{name!r}]: a DesiredWorkerLabel was expected, not {label!r}"
            raise TypeError(msg)
    return dict(given)


def read_worker_labels(given: Mapping[str, LabelValue] | None) -> dict[str, str]:
    """Check a worker's own labels. Raises TypeError, ValueError."""
    labels = given or {}
    if len(labels) > MOST_LABELS_OF_A_WORKER:
        msg = f"labels: at most {MOST_LABELS_OF_A_WORKER} were expected, not {len(labels)}"
        raise ValueError(msg)
    for name in labels:
        _check_label_name(name, "labels")
    return {name: check_label_value(value, f"labels[{name!r}]") for name, value in labels.items()}


def read_pools(given: Mapping[str, int] | None) -> dict[str, int]:
    """Check a worker's slots by pool. Raises ValueError."""
    pools = dict(given or {})
    if len(pools) > MOST_POOLS:
        msg = f"pools: at most {MOST_POOLS} were expected, not {len(pools)}"
        raise ValueError(msg)
    for pool, slots in pools.items():
        check_pool(pool, "pools")
        if pool == DEFAULT_POOL:
            msg = f"pools: the slots of {pool!r} are slots="
            raise ValueError(msg)
        if type(slots) is not int or not 1 <= slots <= MOST_SLOTS:
            msg = f"pools[{pool!r}]={slots!r}: 1 to {MOST_SLOTS:,} slots were expected"
            raise ValueError(msg)
    return pools


def check_pool(pool: object, name: str) -> None:
    """Refuse what can't be a pool's name. Raises ValueError naming `name`."""
    fits = isinstance(pool, str) and 1 <= len(pool) <= _LONGEST_POOL and _POOL_CHARACTERS.issuperset(pool)
    if not fits:
        msg = f"{name}: a pool's name of 1 to {_LONGEST_POOL} letters, digits and ._- was expected, not {pool!r}"
        raise ValueError(msg)


def check_cost(cost: object) -> None:
    """Refuse what can't be a slot cost. Raises ValueError."""
    if type(cost) is not int or not 1 <= cost <= MOST_SLOTS_OF_ONE:
        msg = f"slot_cost={cost!r}: 1 to {MOST_SLOTS_OF_ONE:,} slots were expected"
        raise ValueError(msg)


def sticky_number(strategy: StickyStrategy | None) -> workflow_pb2.Sticky.ValueType:
    """Write a strategy as the contracts have it."""
    from windlass.v1 import workflow_pb2

    return workflow_pb2.Sticky.Value(f"STICKY_{strategy}") if strategy else workflow_pb2.STICKY_UNSPECIFIED


def read_placement(
    sticky: bool | StickyStrategy | None,
    desired_worker_id: object,
    desired_worker_labels: object,
) -> run_pb2.Placement | None:
    """Read what a caller says of workers, None where that is nothing. Raises TypeError, ValueError."""
    labels = read_desired_labels(desired_worker_labels)
    if desired_worker_id is not None and not (isinstance(desired_worker_id, str) and desired_worker_id):
        msg = f"desired_worker_id={desired_worker_id!r}: the id of a worker was expected"
        raise ValueError(msg)
    if not (sticky or desired_worker_id or labels):
        return None
    from windlass.v1 import run_pb2

    if sticky is True and desired_worker_id:
        msg = "sticky=True is the worker of the task that calls: not together with desired_worker_id"
        raise ValueError(msg)
    return run_pb2.Placement(
        desired_labels=[label.to_proto(name) for name, label in labels.items()],
        desired_worker_id=str(desired_worker_id or ""),
        sticky=bool(sticky) and not desired_worker_id,
        strictness=sticky_number(StickyStrategy(sticky) if isinstance(sticky, str) else None),
    )
