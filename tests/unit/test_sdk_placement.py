"""Placement at the decorator, at the call and at the worker: what is said to the engine, and what is refused there."""

from __future__ import annotations

from typing import Any

import pytest

from windlass import (
    ClientConfig,
    DesiredWorkerLabel,
    InvalidConfig,
    InvalidInput,
    InvalidTask,
    StickyStrategy,
    Windlass,
    WorkerLabelComparator,
)
from windlass.calling import read_options
from windlass.cli.worker_process import _pairs
from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.domain.definition import check_definition


def _app() -> Windlass:
    return Windlass(config=ClientConfig(api_address="127.0.0.1:1"))


def _definition(**options: Any) -> workflow_pb2.WorkflowDefinition:
    app = _app()

    def work() -> None: ...

    app.task(**options)(work)
    definition = app.tasks["work"].definition()
    check_definition(definition, "w")
    return definition


def _placement(**options: Any) -> run_pb2.Placement:
    placement: run_pb2.Placement = read_options(**options).fields["placement"]
    return placement


def test_a_plain_task_and_a_plain_call_say_nothing() -> None:
    """Not a field of the messages is set."""
    definition = _definition()
    assert definition.sticky == workflow_pb2.STICKY_UNSPECIFIED
    assert not definition.tasks[0].slot_pool
    assert not definition.tasks[0].desired_labels
    assert "placement" not in read_options(sticky=False).fields


def test_labels_go_into_the_definition() -> None:
    """Required ones without a weight; numbers as they are written."""
    definition = _definition(
        desired_worker_labels={
            "memory": DesiredWorkerLabel(
                value=64.5, required=True, comparator=WorkerLabelComparator.GREATER_THAN_OR_EQUAL
            ),
            "region": DesiredWorkerLabel(value="eu"),
        }
    )
    memory, region = definition.tasks[0].desired_labels
    assert (memory.name, memory.value, memory.required, memory.weight) == ("memory", "64.5", True, 0)
    assert memory.comparator == workflow_pb2.LABEL_COMPARATOR_GREATER_THAN_OR_EQUAL
    assert (region.name, region.value, region.required, region.weight) == ("region", "eu", False, 100)
    assert region.comparator == workflow_pb2.LABEL_COMPARATOR_EQUAL


def test_cost_pool_and_strictness_go_into_the_definition() -> None:
    """Each in its place."""
    definition = _definition(slot_cost=3, slot_pool="gpu", sticky=StickyStrategy.HARD)
    assert (definition.tasks[0].slot_cost, definition.tasks[0].slot_pool) == (3, "gpu")
    assert definition.sticky == workflow_pb2.STICKY_HARD


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slot_cost": 0}, "slot_cost=0"),
        ({"slot_cost": 1_001}, "slot_cost=1001"),
        ({"slot_cost": True}, "slot_cost=True"),
        ({"slot_pool": ""}, "slot_pool"),
        ({"slot_pool": "a b"}, "slot_pool"),
        ({"slot_pool": "x" * 64}, "slot_pool"),
        ({"sticky": "always"}, "always"),
        ({"desired_worker_labels": {"gpu": "a100"}}, "desired_worker_labels.*DesiredWorkerLabel"),
        ({"desired_worker_labels": ["gpu"]}, "desired_worker_labels"),
        ({"desired_worker_labels": {"": DesiredWorkerLabel(value=1)}}, "label's name"),
        ({"desired_worker_labels": {str(i): DesiredWorkerLabel(value=i) for i in range(21)}}, "at most 20"),
    ],
)
def test_what_makes_no_sense_is_refused_at_decoration(options: dict[str, Any], said: str) -> None:
    """With the place of the function."""
    with pytest.raises(InvalidTask, match=f"test_sdk_placement.*{said}"):
        _definition(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"value": None}, "value=None"),
        ({"value": True}, "value=True"),
        ({"value": "x" * 201}, "at most 200"),
        ({"value": 1, "weight": 0}, "weight=0"),
        ({"value": 1, "weight": 1.5}, "weight=1.5"),
        ({"value": 1, "required": "yes"}, "required='yes'"),
        ({"value": 1, "comparator": "~"}, "~"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused_when_it_is_made(options: dict[str, Any], said: str) -> None:
    """Naming the parameter."""
    with pytest.raises((ValueError, TypeError), match=said):
        DesiredWorkerLabel(**options)


def test_a_call_says_which_worker_and_how_strictly() -> None:
    """An id is HARD where nothing is said, which is the engine's to know."""
    assert _placement(sticky=True) == run_pb2.Placement(sticky=True)
    assert _placement(sticky=StickyStrategy.SOFT) == run_pb2.Placement(sticky=True, strictness=workflow_pb2.STICKY_SOFT)
    assert _placement(desired_worker_id="w") == run_pb2.Placement(desired_worker_id="w")
    assert _placement(desired_worker_id="w", sticky=StickyStrategy.SOFT) == run_pb2.Placement(
        desired_worker_id="w", strictness=workflow_pb2.STICKY_SOFT
    )
    labels = _placement(desired_worker_labels={"a": DesiredWorkerLabel(value=1, required=True)}).desired_labels
    assert [(label.name, label.value) for label in labels] == [("a", "1")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sticky": True, "desired_worker_id": "w"}, "not together"),
        ({"sticky": "maybe"}, "maybe"),
        ({"desired_worker_id": ""}, "desired_worker_id"),
        ({"desired_worker_id": 7}, "desired_worker_id"),
        ({"desired_worker_labels": {"gpu": 1}}, "desired_worker_labels"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidInput, match=said):
        read_options(**options)


def test_a_sticky_call_outside_a_task_is_refused() -> None:
    """There is no worker that it could stick to."""
    app = _app()

    @app.task
    def work() -> None: ...

    with pytest.raises(InvalidInput, match="sticky"):
        work.options(sticky=True).create_bulk_run_item()
    app.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pools": {"gpu": 0}}, "gpu"),
        ({"pools": {"default": 3}}, "slots="),
        ({"pools": {"a b": 3}}, "a pool's name"),
        ({"pools": {str(i): 1 for i in range(21)}}, "at most 20"),
        ({"labels": {"a": None}}, "labels"),
        ({"labels": {"": "x"}}, "label's name"),
        ({"labels": {str(i): i for i in range(101)}}, "at most 100"),
    ],
)
def test_a_worker_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    """When it is made."""
    with pytest.raises(InvalidConfig, match=said):
        _app().worker("w", **options)


def test_a_worker_is_refused_with_a_task_that_it_never_could_take() -> None:
    """Where it names it; one that serves all that there is passes over what is too large for it."""
    app = _app()

    @app.task(slot_cost=3, slot_pool="gpu")
    def render() -> None: ...

    with pytest.raises(InvalidConfig, match=r"'render' takes 3 of the pool 'gpu'.* has 2"):
        app.worker("w", pools={"gpu": 2}, workflows=[render])
    with pytest.raises(InvalidConfig, match="has 0"):
        app.worker("w", slots=50, workflows=[render])
    app.worker("w", pools={"gpu": 3}, workflows=[render])
    app.worker("w")


@pytest.mark.parametrize("word", ["gpu", "=4", ""])
def test_the_command_line_takes_names_with_values(word: str) -> None:
    """Neither alone; a value may hold an equals sign."""
    with pytest.raises(InvalidConfig, match="NAME=VALUE"):
        _pairs([word], "--label")
    with pytest.raises(InvalidConfig, match="twice"):
        _pairs(["a=1", "a=2"], "--label")
    assert _pairs(["a=b=c", "d="], "--label") == {"a": "b=c", "d": ""}
