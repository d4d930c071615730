"""Owns what a workflow definition must look like, its version, and the policies that it gives."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

from pydantic_core import from_json

from windlass.v1 import run_pb2, schedule_pb2, workflow_pb2
from windlass_core.domain.cron_spec import check_declared
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.gates import Gates, KeyedPermits, check_gates, check_permits
from windlass_core.domain.idempotency import KeyedRuns, check_keyed_runs
from windlass_core.domain.levels import DEFAULT_LEVEL, LEVELS
from windlass_core.domain.limits import MAX_ATTEMPTS, MAX_DURATION_MS, MAX_METADATA_BYTES
from windlass_core.domain.names import DEFAULT_QUEUE, check_name
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import PLAIN, Demand, check_sticky, check_task_demand
from windlass_core.domain.retry import MAX_INTERVAL_MS, Budget, Policy

_MAX_DESCRIPTION_BYTES = 4 * 1024
_MAX_COEFFICIENT = 1_000.0
_MAX_RETRIES_PER_MINUTE = 1_000_000

# The fields that hold hooks, by the end that each follows.
_HOOKS: Final[dict[Phase, Literal["on_failure", "on_success"]]] = {
    Phase.FAILED: "on_failure",
    Phase.COMPLETED: "on_success",
}


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """The policies of one task. Durations in milliseconds, 0: no limit.

    `gates` are what its runs have to pass, None where that is nothing.
    """

    name: str
    retry: Policy
    execution_timeout_ms: int
    schedule_timeout_ms: int
    soft_timeout_ms: int
    gates: Gates | None = None
    demand: Demand = PLAIN


@dataclass(frozen=True, slots=True)
class Definition:
    """A checked version of a workflow: its one task, and the hooks that follow a run's end.

    `keyed` is how its runs get idempotency keys, `budget` bounds the retries of all of them together; None
    where that is nothing.
    """

    name: str
    version: str
    body: bytes
    queue: str
    level: int
    task: TaskTerms
    metadata: Mapping[str, Any]
    # By the end that they follow.
    hooks: Mapping[Phase, TaskTerms]
    crons: tuple[schedule_pb2.CronSpec, ...] = ()
    # A workflow_pb2.Sticky: how its runs' sticky children are bound to its worker.
    sticky: int = workflow_pb2.STICKY_UNSPECIFIED
    keyed: KeyedRuns | None = None
    budget: Budget | None = None
    # Of the task and the hooks: whether any has gates, and the rate limits that somebody has to have put.
    has_gates: bool = False
    named_limits: tuple[str, ...] = ()
    # A run's output is an object with the task's output under its name.
    output_by_task: bool = False

    def for_hook(self, hook: TaskTerms) -> Self:
        """What counts for the runs of a hook: its task is theirs, and no key, nor any hook, is; defaults they have."""
        return replace(self, task=hook, hooks={}, keyed=None, metadata={}, has_gates=hook.gates is not None)

    def output_name(self, spec: run_pb2.RunSpec) -> str:
        """The name under which a run's output has the task's; empty where it is the task's own."""
        return self.task.name if self.output_by_task and not spec.HasField("hook") else ""

    def task_of(self, spec: run_pb2.RunSpec) -> TaskTerms:
        """The task that a run executes: the workflow's own, or a hook where it is the run of one."""
        if spec.HasField("hook"):
            return next((hook for hook in self.hooks.values() if hook.name == spec.hook.task_name), self.task)
        return self.task


def version_of(message: workflow_pb2.WorkflowDefinition) -> str:
    """A hash of the content, 16 hexadecimal digits."""
    content = message.SerializeToString(deterministic=True)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def check_definition(message: workflow_pb2.WorkflowDefinition, field: str) -> Definition:
    """The definition, checked. Raises InvalidField, which names the field below `field`."""
    check_name(message.name, f"{field}.name")
    if len(message.tasks) != 1:
        path = f"{field}.tasks"
        raise InvalidField(f"{path}: expected exactly one task, got {len(message.tasks)}", path)
    kept = check_permits(message.concurrency, "w", f"{field}.concurrency", message.name, "w")
    task = _check_task(message.tasks[0], f"{field}.tasks[0]", message.name, "t", kept)
    hooks = _check_hooks(message, task.name, field)
    gates = [each.gates for each in (task, *hooks.values()) if each.gates is not None]
    if len(message.description.encode()) > _MAX_DESCRIPTION_BYTES:
        raise InvalidField(f"{field}.description: over 4 KiB", f"{field}.description")
    if message.default_queue:
        check_name(message.default_queue, f"{field}.default_queue")
    return Definition(
        name=message.name,
        version=version_of(message),
        body=message.SerializeToString(deterministic=True),
        queue=message.default_queue or DEFAULT_QUEUE,
        level=check_level(message.default_priority, f"{field}.default_priority") or DEFAULT_LEVEL,
        task=task,
        crons=check_declared(message.crons, message.name, f"{field}.crons"),
        metadata=_check_metadata(message.default_metadata_json, f"{field}.default_metadata_json"),
        sticky=check_sticky(message.sticky, f"{field}.sticky"),
        keyed=check_keyed_runs(message, field),
        budget=_check_budget(message.retry_budget, f"{field}.retry_budget")
        if message.HasField("retry_budget")
        else None,
        hooks=hooks,
        has_gates=bool(gates),
        named_limits=tuple(dict.fromkeys(name for each in gates for name in each.named_limits)),
        output_by_task=message.output_by_task,
    )


def _check_task(
    task: workflow_pb2.TaskDefinition, path: str, workflow: str, place: str, kept: Sequence[KeyedPermits] = ()
) -> TaskTerms:
    check_name(task.name, f"{path}.name")
    if task.parents:
        raise InvalidField(f"{path}.parents: expected none, graphs are not run yet", f"{path}.parents")
    for name in ("execution_timeout_ms", "schedule_timeout_ms", "soft_timeout_ms"):
        check_duration(getattr(task, name), f"{path}.{name}")
    if task.execution_timeout_ms and task.soft_timeout_ms >= task.execution_timeout_ms:
        raise InvalidField(
            f"{path}.soft_timeout_ms: expected less than the execution timeout of {task.execution_timeout_ms}, "
            f"got {task.soft_timeout_ms}",
            f"{path}.soft_timeout_ms",
        )
    return TaskTerms(
        name=task.name,
        retry=check_policy(task.retry, f"{path}.retry"),
        execution_timeout_ms=task.execution_timeout_ms,
        schedule_timeout_ms=task.schedule_timeout_ms,
        soft_timeout_ms=task.soft_timeout_ms,
        gates=check_gates(task, path, workflow, place, kept),
        demand=check_task_demand(task, path),
    )


def _check_hooks(message: workflow_pb2.WorkflowDefinition, taken: str, field: str) -> dict[Phase, TaskTerms]:
    hooks: dict[Phase, TaskTerms] = {}
    for end, kind in _HOOKS.items():
        if not message.HasField(kind):
            continue
        path = f"{field}.{kind}"
        hook = _check_task(getattr(message, kind), path, message.name, kind)
        if hook.name in {taken, *(other.name for other in hooks.values())}:
            raise InvalidField(
                f"{path}.name: {hook.name!r} is the name of another task of the workflow; expected one of its own",
                f"{path}.name",
            )
        hooks[end] = hook
    return hooks


def _check_metadata(text: bytes, field: str) -> Mapping[str, Any]:
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidField(f"{field}: {len(text)} bytes are over the limit of 64 KiB", field)
    try:
        metadata = from_json(text or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise InvalidField(f"{field}: expected JSON: {error}", field) from error
    if not isinstance(metadata, dict):
        raise InvalidField(f"{field}: expected a JSON object", field)
    return metadata


def _check_budget(message: workflow_pb2.RetryBudget, field: str) -> Budget:
    if not 0 <= message.ratio <= 1:
        raise InvalidField(f"{field}.ratio: expected 0 to 1, got {message.ratio}", f"{field}.ratio")
    if message.min_per_minute > _MAX_RETRIES_PER_MINUTE:
        path = f"{field}.min_per_minute"
        raise InvalidField(f"{path}: expected at most {_MAX_RETRIES_PER_MINUTE}, got {message.min_per_minute}", path)
    if not message.ratio and not message.min_per_minute:
        raise InvalidField(f"{field}: expected a ratio or a min_per_minute over 0", field)
    return Budget(message.ratio, message.min_per_minute)


def check_level(level: int, field: str) -> int:
    """A priority level, 0 for none given. Raises InvalidField."""
    if level and level not in LEVELS:
        raise InvalidField(f"{field}: expected 1 (LOW) to 4 (CRITICAL), got {level}", field)
    return level


def check_duration(duration_ms: int, field: str) -> int:
    """A duration in milliseconds of at most 366 days. Raises InvalidField."""
    if duration_ms > MAX_DURATION_MS:
        raise InvalidField(f"{field}: expected at most 366 days, got {duration_ms} ms", field)
    return duration_ms


def check_policy(message: workflow_pb2.RetryPolicy, field: str) -> Policy:
    """The policy, with the values that zeros are read as. Raises InvalidField."""
    if message.max_attempts > MAX_ATTEMPTS:
        path = f"{field}.max_attempts"
        raise InvalidField(f"{path}: expected at most {MAX_ATTEMPTS}, got {message.max_attempts}", path)
    coefficient = message.backoff_coefficient or 1.0
    if not 1.0 <= coefficient <= _MAX_COEFFICIENT:
        path = f"{field}.backoff_coefficient"
        raise InvalidField(f"{path}: expected 1 to 1000, got {coefficient}", path)
    check_duration(message.initial_interval_ms, f"{field}.initial_interval_ms")
    check_duration(message.max_interval_ms, f"{field}.max_interval_ms")
    return Policy(
        max_attempts=message.max_attempts or 1,
        initial_interval_ms=message.initial_interval_ms,
        coefficient=coefficient,
        max_interval_ms=message.max_interval_ms or MAX_INTERVAL_MS,
        jitter=message.jitter,
        non_retryable=frozenset(message.non_retryable_errors),
        retryable=frozenset(message.retryable_errors),
    )
