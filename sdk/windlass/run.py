"""Owns what users see of a run, a workflow and a worker: plain frozen records, read from the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import from_json

from windlass.priority import Priority
from windlass.progress import Progress
from windlass.status import RunStatus
from windlass.transport.error_detail import from_failure
from windlass.v1 import run_pb2, worker_pb2

if TYPE_CHECKING:
    from windlass.exceptions import TaskRunError
    from windlass.v1 import workflow_pb2


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the engine keeps it. Times are aware and in UTC.

    `errors` tells how its attempts failed, the latest hundred, oldest first, those before a replay too;
    `errors_dropped` counts the others. `waits_for` says which concurrency key, rate limit or pause keeps it
    waiting; empty where none does, and in lists. `progress` is what its last attempt has told.

    `hook_run_id` is the run of the hook that followed its last end. The run of a hook itself says in `hook_name` which
    of its workflow's hooks it executes, and in `followed_run_id` the run that this follows.
    """

    id: str
    workflow_name: str
    workflow_version: str
    status: RunStatus
    phase: str
    priority: Priority
    queue: str
    attempt: int
    input: Any
    output: Any
    additional_metadata: dict[str, Any]
    errors: tuple[TaskRunError, ...]
    worker_id: str
    parent_task_run_id: str | None
    cancel_requested: bool
    cancel_reason: str
    created_at: datetime
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress | None = None
    replays: int = 0
    errors_dropped: int = 0
    idempotency_key: str | None = None
    waits_for: str = ""
    hook_run_id: str | None = None
    hook_name: str | None = None
    followed_run_id: str | None = None

    @classmethod
    def from_proto(cls, run: run_pb2.Run) -> Self:
        """Read it from the wire."""
        spec = run.spec
        return cls(
            id=run.run_id,
            workflow_name=spec.workflow_name,
            workflow_version=run.workflow_version,
            status=RunStatus.from_number(run.status),
            phase=_phase(run.phase),
            priority=Priority(spec.priority or Priority.MEDIUM),
            queue=spec.queue or "default",
            attempt=run.attempt,
            input=_json(spec.input_json or b"{}"),
            output=_json(run.output_json) if run.output_json else None,
            additional_metadata=_json(spec.metadata_json or b"{}"),
            errors=tuple(from_failure(run.run_id, failure) for failure in run.failures),
            worker_id=run.worker_id,
            parent_task_run_id=spec.parent_task_run_id or None,
            cancel_requested=run.cancel_requested,
            cancel_reason=run.cancel_reason,
            created_at=to_moment(run.created_at_ms),
            ready_at=maybe_moment(run.ready_at_ms),
            started_at=maybe_moment(run.started_at_ms),
            finished_at=maybe_moment(run.finished_at_ms),
            progress=Progress.from_proto(run.progress) if run.HasField("progress") else None,
            replays=run.replays,
            errors_dropped=run.failures_dropped,
            idempotency_key=spec.idempotency.key or None,
            waits_for=run.waits_for,
            hook_run_id=run.hook_run_id or None,
            hook_name=spec.hook.task_name or None,
            followed_run_id=spec.hook.run_id or None,
        )


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands. `error` is its last failure when FAILED, without a traceback; `progress` its last attempt's."""

    id: str
    workflow_name: str
    status: RunStatus
    phase: str
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: TaskRunError | None
    cancel_reason: str
    progress: Progress | None = None

    @classmethod
    def from_proto(cls, state: run_pb2.RunState) -> Self:
        """Read it from the wire."""
        return cls(
            id=state.run_id,
            workflow_name=state.workflow_name,
            status=RunStatus.from_number(state.status),
            phase=_phase(state.phase),
            attempt=state.attempt,
            created_at=to_moment(state.created_at_ms),
            started_at=maybe_moment(state.started_at_ms),
            finished_at=maybe_moment(state.finished_at_ms),
            error=from_failure(state.run_id, state.failure) if state.HasField("failure") else None,
            cancel_reason=state.cancel_reason,
            progress=Progress.from_proto(state.progress) if state.HasField("progress") else None,
        )


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """A registered workflow in its current version. `on_failure` and `on_success` name its hooks."""

    name: str
    description: str
    version: str
    version_label: str
    default_queue: str
    default_priority: Priority
    task_names: tuple[str, ...]
    on_failure: str | None
    on_success: str | None
    registered_at: datetime
    queued_runs: int
    workers: int
    paused: bool

    @classmethod
    def from_proto(cls, workflow: workflow_pb2.Workflow) -> Self:
        """Read it from the wire."""
        definition = workflow.definition
        return cls(
            name=definition.name,
            description=definition.description,
            version=workflow.version,
            version_label=definition.version_label,
            default_queue=definition.default_queue or "default",
            default_priority=Priority(definition.default_priority or Priority.MEDIUM),
            task_names=tuple(task.name for task in definition.tasks),
            on_failure=definition.on_failure.name or None,
            on_success=definition.on_success.name or None,
            registered_at=to_moment(workflow.registered_at_ms),
            queued_runs=workflow.queued_runs,
            workers=workflow.workers,
            paused=workflow.paused,
        )


@dataclass(frozen=True, slots=True)
class SlotPool:
    """Slots of one kind that a worker has."""

    slots: int
    slots_used: int


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker that is, or was just now, connected.

    `status` is ACTIVE, PAUSED, DRAINING or DISCONNECTED; `slots` are those of the default pool, `pools` the others.
    """

    id: str
    name: str
    status: str
    workflow_names: tuple[str, ...]
    queues: tuple[str, ...]
    labels: dict[str, str]
    slots: int
    slots_used: int
    pools: dict[str, SlotPool]
    sdk: str
    host: str
    dispatcher_address: str
    connected_at: datetime
    session_expires_at: datetime

    @classmethod
    def from_proto(cls, worker: worker_pb2.Worker) -> Self:
        """Read it from the wire."""
        return cls(
            id=worker.worker_id,
            name=worker.name,
            status=worker_pb2.WorkerStatus.Name(worker.status).removeprefix("WORKER_STATUS_"),
            workflow_names=tuple(worker.workflow_names),
            queues=tuple(worker.queues),
            labels=dict(worker.labels),
            slots=worker.slots,
            slots_used=worker.slots_used,
            pools={pool.name: SlotPool(pool.slots, pool.slots_used) for pool in worker.slot_pools},
            sdk=worker.sdk,
            host=worker.host,
            dispatcher_address=worker.dispatcher_address,
            connected_at=to_moment(worker.connected_at_ms),
            session_expires_at=to_moment(worker.session_expires_at_ms),
        )


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a task logged. `offset` counts the run's lines from 0, those dropped since too."""

    offset: int
    logged_at: datetime
    level: str
    message: str
    attempt: int
    trace_id: str = ""
    span_id: str = ""

    @classmethod
    def from_proto(cls, offset: int, line: run_pb2.LogLine) -> Self:
        """Read it from the wire."""
        return cls(
            offset,
            to_moment(line.logged_at_ms),
            line.level,
            line.message,
            line.attempt,
            line.trace_id,
            line.span_id,
        )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _json(text: bytes) -> Any:
    return from_json(text)


def _phase(number: run_pb2.RunPhase.ValueType) -> str:
    return run_pb2.RunPhase.Name(number).removeprefix("RUN_PHASE_").lower()


def to_moment(milliseconds: int) -> datetime:
    """Read a time in milliseconds since 1970 UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def maybe_moment(milliseconds: int) -> datetime | None:
    """Do as `to_moment`; 0 is none."""
    return to_moment(milliseconds) if milliseconds else None
