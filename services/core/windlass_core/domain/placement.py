"""Owns what a run can demand of its worker, and how a label is compared with what is asked for."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_DESIRED_LABELS, MAX_NAME_LENGTH, MAX_SLOT_COST
from windlass_core.domain.names import check_pool, check_worker_id

DEFAULT_POOL = "default"
DEFAULT_WEIGHT = 100
_MAX_WEIGHT = 1_000_000
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_COMPARATORS = {number for number in workflow_pb2.LabelComparator.values() if number}
_STRICTNESS = set(workflow_pb2.Sticky.values())


@dataclass(frozen=True, slots=True)
class Label:
    """A label that a worker should have; it must, where `weight` is 0."""

    name: str
    comparator: int
    value: str
    weight: int

    def entry(self) -> list[Any]:
        """As the scripts read it."""
        return [self.name, self.comparator, self.value, number_of(self.value), self.weight]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run demands of its worker. `worker` is an id or '', and `hard` whether no other one will do."""

    cost: int = 1
    pool: str = DEFAULT_POOL
    labels: tuple[Label, ...] = ()
    worker: str = ""
    hard: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether any worker of the task and the queue will do, with one slot."""
        return self == PLAIN

    def entry(self) -> list[Any]:
        """As the scripts read it: lua/demand.lua has the shape."""
        return [
            self.cost,
            self.pool,
            self.worker,
            self.hard,
            [label.entry() for label in self.labels if not label.weight],
            [label.entry() for label in self.labels if label.weight],
        ]

    def name(self) -> str:
        """The part of a flow's name that tells demands apart, '' for a plain one.

        Ends in the cost where that is over 1: matching passes over what does not fit without reading the demand.
        """
        return "" if self is PLAIN else _name_of(self)


PLAIN = Demand()


@dataclass(frozen=True, slots=True)
class Home:
    """Where a parent task run is: its worker, '' for none, and how its definition binds sticky children to it."""

    worker: str
    sticky: int


NO_HOME = Home("", workflow_pb2.STICKY_UNSPECIFIED)


@lru_cache(maxsize=4096)
def _name_of(demand: Demand) -> str:
    if demand.is_plain:
        return ""
    digest = hashlib.blake2b(json.dumps(demand.entry()).encode(), digest_size=8).hexdigest()
    return f"{digest}x{demand.cost}" if demand.cost > 1 else digest


def number_of(text: str) -> float | bool:
    """The number that a text is, False where it is none: labels are compared as numbers where both are."""
    if not _NUMBER.fullmatch(text):
        return False
    number = float(text)
    return number if math.isfinite(number) else False


def label_entries(labels: Mapping[str, str]) -> dict[str, list[Any]]:
    """A worker's labels, as the scripts compare them."""
    return {name: [value, number_of(value)] for name, value in labels.items()}


def check_task_demand(task: workflow_pb2.TaskDefinition, path: str) -> Demand:
    """What a definition demands. Raises InvalidField with a field below `path`."""
    if task.slot_cost > MAX_SLOT_COST:
        field = f"{path}.slot_cost"
        raise InvalidField(f"{field}: expected 1 to {MAX_SLOT_COST}, got {task.slot_cost}", field)
    demand = Demand(
        cost=task.slot_cost or 1,
        pool=check_pool(task.slot_pool, f"{path}.slot_pool") if task.slot_pool else DEFAULT_POOL,
        labels=_check_labels(task.desired_labels, f"{path}.desired_labels"),
    )
    return PLAIN if demand.is_plain else demand


def check_sticky(sticky: int, path: str) -> int:
    """A strictness. Raises InvalidField."""
    if sticky not in _STRICTNESS:
        raise InvalidField(f"{path}: expected SOFT (1) or HARD (2), got {sticky}", path)
    return sticky


def check_run_demand(placement: run_pb2.Placement, given: Demand, home: Home, path: str) -> Demand:
    """What a run demands besides `given`, its definition's. Raises InvalidField with a field below `path`."""
    demand = given
    if placement.desired_labels:
        mine = _check_labels(placement.desired_labels, f"{path}.desired_labels")
        names = {label.name for label in mine}
        rest = (label for label in given.labels if label.name not in names)
        demand = replace(demand, labels=_in_order((*mine, *rest)))
    strictness = check_sticky(placement.strictness, f"{path}.strictness")
    if placement.desired_worker_id:
        if placement.sticky:
            raise InvalidField(f"{path}.sticky: not together with desired_worker_id", f"{path}.sticky")
        worker = check_worker_id(placement.desired_worker_id, f"{path}.desired_worker_id")
        return replace(demand, worker=worker, hard=strictness != workflow_pb2.STICKY_SOFT)
    if placement.sticky:
        if not home.worker:
            raise InvalidField(f"{path}.sticky: expected a parent task run that is on a worker", f"{path}.sticky")
        return replace(demand, worker=home.worker, hard=(strictness or home.sticky) == workflow_pb2.STICKY_HARD)
    return demand


def _check_labels(messages: Iterable[workflow_pb2.DesiredLabel], path: str) -> tuple[Label, ...]:
    labels = [_check_label(message, f"{path}[{place}]") for place, message in enumerate(messages)]
    if len(labels) > MAX_DESIRED_LABELS:
        raise InvalidField(f"{path}: expected at most {MAX_DESIRED_LABELS}, got {len(labels)}", path)
    if len({label.name for label in labels}) < len(labels):
        raise InvalidField(f"{path}: a label stands there twice", path)
    return _in_order(labels)


def _check_label(message: workflow_pb2.DesiredLabel, path: str) -> Label:
    if not 1 <= len(message.name) <= MAX_NAME_LENGTH:
        raise InvalidField(f"{path}.name: expected 1 to {MAX_NAME_LENGTH} characters", f"{path}.name")
    if len(message.value) > MAX_NAME_LENGTH:
        raise InvalidField(f"{path}.value: expected at most {MAX_NAME_LENGTH} characters", f"{path}.value")
    comparator = message.comparator or workflow_pb2.LABEL_COMPARATOR_EQUAL
    if comparator not in _COMPARATORS:
        raise InvalidField(
            f"{path}.comparator: expected 1 (EQUAL) to 6 (LESS_THAN_OR_EQUAL), got {comparator}", f"{path}.comparator"
        )
    if not 0 <= message.weight <= _MAX_WEIGHT:
        raise InvalidField(f"{path}.weight: expected 1 to {_MAX_WEIGHT}, got {message.weight}", f"{path}.weight")
    weight = 0 if message.required else message.weight or DEFAULT_WEIGHT
    return Label(message.name, comparator, message.value, weight)


def _in_order(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Demands that say the same in another order are the same."""
    return tuple(sorted(labels, key=lambda label: label.name))
