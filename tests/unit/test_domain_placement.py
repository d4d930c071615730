"""Demands: what tells them apart, and what a text is as a number."""

from __future__ import annotations

import re

import pytest

from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.names import flow_name, flow_queue, flow_task
from windlass_core.domain.placement import (
    NO_HOME,
    PLAIN,
    Demand,
    Home,
    Label,
    check_run_demand,
    check_task_demand,
    number_of,
)

_WORKER = "0" * 32
_HARD, _SOFT = workflow_pb2.STICKY_HARD, workflow_pb2.STICKY_SOFT


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-1.5", -1.5), ("+.5e2", 50), ("1.", 1), ("0", 0.0)]
    + [(text, False) for text in ("", "a", "0x10", "nan", "inf", "1e999", " 1", "1 ", "1_000", "\u0661", "--1")],
)
def test_what_is_a_number(text: str, number: float | bool) -> None:
    """Decimal, finite and nothing else."""
    found = number_of(text)
    assert found == number
    assert (found is False) == (number is False)


def test_demands_have_names_of_their_own() -> None:
    """A plain one has none; the cost can be told from the name."""
    label = Label("a", 1, "x", 0)
    demands = [
        Demand(cost=2),
        Demand(cost=3),
        Demand(pool="gpu"),
        Demand(labels=(label,)),
        Demand(labels=(Label("a", 1, "x", 5),)),
        Demand(worker="w"),
        Demand(worker="w", hard=True),
    ]
    names = [demand.name() for demand in demands]
    assert len(set(names)) == len(names)
    assert PLAIN.name() == Demand().name() == ""
    assert [re.fullmatch(r"[0-9a-f]{16}(x\d+)?", name) is not None for name in names] == [True] * len(names)
    assert [name.partition("x")[2] for name in names[:3]] == ["2", "3", ""]


def test_a_flow_tells_its_parts_with_a_demand_and_without() -> None:
    """A plain flow's name is as it ever was."""
    assert flow_name("n", "q", "t") == flow_name("n", "q", "t", PLAIN.name()) == "n|q|t"
    flow = flow_name("n", "q", "t", Demand(cost=2).name())
    assert (flow_queue(flow), flow_task(flow)) == ("q", "t")


def test_a_plain_definition_demands_nothing() -> None:
    """It is the very same object, which nobody looks into."""
    assert check_task_demand(workflow_pb2.TaskDefinition(slot_cost=1, slot_pool="default"), "t") is PLAIN


def test_the_order_of_labels_does_not_matter() -> None:
    """They say the same."""
    one, other = workflow_pb2.DesiredLabel(name="a", value="1"), workflow_pb2.DesiredLabel(name="b", value="2")
    forth = check_task_demand(workflow_pb2.TaskDefinition(desired_labels=[one, other]), "t")
    back = check_task_demand(workflow_pb2.TaskDefinition(desired_labels=[other, one]), "t")
    assert forth == back


def test_labels_of_a_call_stand_in_place_of_those_of_the_same_names() -> None:
    """The others stay."""
    given = Demand(cost=2, labels=(Label("a", 1, "1", 0), Label("b", 1, "2", 7)))
    placement = run_pb2.Placement(desired_labels=[workflow_pb2.DesiredLabel(name="a", value="9", weight=3)])
    demand = check_run_demand(placement, given, NO_HOME, "p")
    assert demand == Demand(cost=2, labels=(Label("a", 1, "9", 3), Label("b", 1, "2", 7)))


@pytest.mark.parametrize(
    ("placement", "home", "hard"),
    [
        (run_pb2.Placement(desired_worker_id=_WORKER), NO_HOME, True),
        (run_pb2.Placement(desired_worker_id=_WORKER, strictness=_SOFT), NO_HOME, False),
        (run_pb2.Placement(sticky=True), Home(_WORKER, workflow_pb2.STICKY_UNSPECIFIED), False),
        (run_pb2.Placement(sticky=True), Home(_WORKER, _HARD), True),
        (run_pb2.Placement(sticky=True, strictness=_SOFT), Home(_WORKER, _HARD), False),
        (run_pb2.Placement(sticky=True, strictness=_HARD), Home(_WORKER, _SOFT), True),
    ],
)
def test_how_strictly_a_worker_is_meant(placement: run_pb2.Placement, home: Home, *, hard: bool) -> None:
    """The call before the parent's definition; an id alone is strict."""
    assert check_run_demand(placement, PLAIN, home, "p") == Demand(worker=_WORKER, hard=hard)


def test_sticky_needs_a_parent_that_is_somewhere() -> None:
    """A root has none."""
    with pytest.raises(InvalidField, match=r"p\.sticky"):
        check_run_demand(run_pb2.Placement(sticky=True), PLAIN, NO_HOME, "p")
