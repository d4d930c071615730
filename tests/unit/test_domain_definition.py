"""What a definition must look like, its version and its policies."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.domain.definition import check_definition, version_of
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.expression import Scope
from windlass_core.domain.levels import DEFAULT_LEVEL
from windlass_core.domain.limits import MAX_ATTEMPTS, MAX_DURATION_MS
from windlass_core.domain.phase import Phase
from windlass_core.domain.retry import MAX_INTERVAL_MS, Budget, Policy


def _workflow(task: dict[str, Any] | None = None, **fields: Any) -> workflow_pb2.WorkflowDefinition:
    given = {"name": "a", "tasks": [workflow_pb2.TaskDefinition(**{"name": "a", **(task or {})})], **fields}
    return workflow_pb2.WorkflowDefinition(**given)


def test_a_plain_definition_gets_the_defaults() -> None:
    """One attempt, the middle level, the default queue, no limits."""
    definition = check_definition(_workflow(), "w")
    assert definition.task.retry == Policy()
    assert (definition.name, definition.queue, definition.level) == ("a", "default", DEFAULT_LEVEL)
    assert (definition.task.execution_timeout_ms, definition.task.schedule_timeout_ms) == (0, 0)
    assert definition.metadata == {}


def test_what_it_says_counts() -> None:
    """Policies, queue, level, limits, metadata."""
    retry = workflow_pb2.RetryPolicy(
        max_attempts=4,
        initial_interval_ms=10,
        backoff_coefficient=2.5,
        max_interval_ms=99,
        jitter=True,
        non_retryable_errors=["A"],
        retryable_errors=["B"],
    )
    message = _workflow(
        {"retry": retry, "execution_timeout_ms": 5, "schedule_timeout_ms": 6, "soft_timeout_ms": 4},
        default_queue="q",
        retry_budget={"ratio": 0.2, "min_per_minute": 10},
        default_priority=workflow_pb2.PRIORITY_CRITICAL,
        default_metadata_json=b'{"team":"x"}',
    )
    definition = check_definition(message, "w")
    assert definition.task.retry == Policy(
        4, 10, 2.5, 99, jitter=True, non_retryable=frozenset("A"), retryable=frozenset("B")
    )
    assert definition.budget == Budget(0.2, 10)
    assert (definition.queue, definition.level, definition.metadata) == ("q", 4, {"team": "x"})
    task = definition.task
    assert (task.execution_timeout_ms, task.schedule_timeout_ms, task.soft_timeout_ms) == (5, 6, 4)


def test_each_hook_has_policies_of_its_own() -> None:
    """Which of them counts for a run, the run's spec says."""
    limit = workflow_pb2.RateLimit(static_key="mail")
    message = _workflow(
        {"name": "work", "execution_timeout_ms": 9},
        on_failure={"name": "alert", "retry": {"max_attempts": 3}, "rate_limits": [limit]},
        on_success={"name": "cheer"},
        output_by_task=True,
    )
    definition = check_definition(message, "w")
    assert {end: hook.name for end, hook in definition.hooks.items()} == {
        Phase.FAILED: "alert",
        Phase.COMPLETED: "cheer",
    }
    assert (definition.has_gates, definition.named_limits) == (True, ("mail",))
    plain, alert = run_pb2.RunSpec(), run_pb2.RunSpec(hook=run_pb2.Hook(task_name="alert"))
    assert [definition.task_of(spec).name for spec in (plain, alert)] == ["work", "alert"]
    assert [definition.output_name(spec) for spec in (plain, alert)] == ["work", ""]
    assert definition.task_of(alert).retry.max_attempts == 3


def test_permits_of_a_hook_are_not_those_of_the_task() -> None:
    """With the same expression they have keys of their own."""
    key = {"expression": "input.user", "max_runs": 1}
    message = _workflow({"concurrency": [key]}, on_success={"name": "b", "concurrency": [key]}, concurrency=[key])
    definition = check_definition(message, "w")
    scope = Scope({"user": "u"}, {})
    task, hook = definition.task.gates, definition.hooks[Phase.COMPLETED].gates
    assert task is not None
    assert hook is not None
    assert [gate[1] for gate in task.of_run("ns", scope, {}, "f")] == ["ns|a|w0|u", "ns|a|t0|u"]
    assert [gate[1] for gate in hook.of_run("ns", scope, {}, "f")] == ["ns|a|on_success0|u"]


def test_zeros_of_a_policy_are_its_defaults() -> None:
    """One attempt, no growth, a day at the most."""
    policy = check_definition(_workflow({"retry": workflow_pb2.RetryPolicy(initial_interval_ms=3)}), "w").task.retry
    assert policy == Policy(max_attempts=1, initial_interval_ms=3, coefficient=1.0, max_interval_ms=MAX_INTERVAL_MS)


def test_the_version_is_a_hash_of_the_content() -> None:
    """The same content has the same one, any other has another."""
    first = version_of(_workflow())
    assert version_of(_workflow()) == first
    assert len(first) == 16
    others = [
        _workflow(description="d"),
        _workflow(version_label="v"),
        _workflow({"execution_timeout_ms": 1}),
        _workflow(default_priority=workflow_pb2.PRIORITY_MEDIUM),
    ]
    assert len({first, *map(version_of, others)}) == 5


def test_the_body_is_the_definition() -> None:
    """What is stored reads back as it came."""
    message = _workflow(description="d")
    assert workflow_pb2.WorkflowDefinition.FromString(check_definition(message, "w").body) == message


_TASK = workflow_pb2.TaskDefinition(name="a")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (_workflow(name=""), "w.name"),
        (_workflow(name="a b"), "w.name"),
        (_workflow(tasks=[]), "w.tasks"),
        (_workflow(tasks=[_TASK, _TASK]), "w.tasks"),
        (_workflow({"name": ""}), "w.tasks[0].name"),
        (_workflow(on_failure={"name": ""}), "w.on_failure.name"),
        (_workflow(on_failure={"name": "a"}), "w.on_failure.name"),
        (_workflow(on_failure={"name": "b"}, on_success={"name": "b"}), "w.on_success.name"),
        (_workflow(on_success={"name": "b", "parents": ["a"]}), "w.on_success.parents"),
        (_workflow(on_success={"name": "b", "slot_cost": 1_001}), "w.on_success.slot_cost"),
        (_workflow({"parents": ["b"]}), "w.tasks[0].parents"),
        (_workflow({"slot_cost": 1_001}), "w.tasks[0].slot_cost"),
        (_workflow({"execution_timeout_ms": MAX_DURATION_MS + 1}), "w.tasks[0].execution_timeout_ms"),
        (_workflow({"schedule_timeout_ms": MAX_DURATION_MS + 1}), "w.tasks[0].schedule_timeout_ms"),
        (_workflow({"soft_timeout_ms": MAX_DURATION_MS + 1}), "w.tasks[0].soft_timeout_ms"),
        (_workflow({"soft_timeout_ms": 5, "execution_timeout_ms": 5}), "w.tasks[0].soft_timeout_ms"),
        (_workflow({"retry": {"max_attempts": MAX_ATTEMPTS + 1}}), "w.tasks[0].retry.max_attempts"),
        (_workflow({"retry": {"backoff_coefficient": 0.5}}), "w.tasks[0].retry.backoff_coefficient"),
        (_workflow({"retry": {"backoff_coefficient": 1001}}), "w.tasks[0].retry.backoff_coefficient"),
        (_workflow({"retry": {"backoff_coefficient": float("nan")}}), "w.tasks[0].retry.backoff_coefficient"),
        (_workflow({"retry": {"max_interval_ms": MAX_DURATION_MS + 1}}), "w.tasks[0].retry.max_interval_ms"),
        (_workflow(retry_budget={"ratio": 1.1}), "w.retry_budget.ratio"),
        (_workflow(retry_budget={"ratio": -0.1}), "w.retry_budget.ratio"),
        (_workflow(retry_budget={"ratio": float("nan")}), "w.retry_budget.ratio"),
        (_workflow(retry_budget={"min_per_minute": 1_000_001}), "w.retry_budget.min_per_minute"),
        (_workflow(retry_budget={}), "w.retry_budget"),
        (_workflow(description="x" * 4097), "w.description"),
        (_workflow(default_queue="a b"), "w.default_queue"),
        (_workflow(default_priority=9), "w.default_priority"),
        (_workflow(default_metadata_json=b"{"), "w.default_metadata_json"),
        (_workflow(default_metadata_json=b"[]"), "w.default_metadata_json"),
        (_workflow(default_metadata_json=b'{"a":"' + b"x" * 65536 + b'"}'), "w.default_metadata_json"),
        (_workflow(default_metadata_json=b'{"a":NaN}'), "w.default_metadata_json"),
        (_workflow(default_metadata_json=b"\xff"), "w.default_metadata_json"),
    ],
)
def test_a_wrong_field_is_named(message: workflow_pb2.WorkflowDefinition, field: str) -> None:
    """By its path, with what was expected."""
    with pytest.raises(InvalidField) as raised:
        check_definition(message, "w")
    assert raised.value.field == field
    assert raised.value.message.startswith(f"{field}: ")
