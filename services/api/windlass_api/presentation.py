"""Owns how what the store keeps is shown: one place per message."""

from typing import Any

from windlass.v1 import run_pb2, schedule_pb2, worker_pb2, workflow_pb2
from windlass_core.domain.cron import next_tick
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.names import flow_queue, flow_task
from windlass_core.domain.phase import Phase
from windlass_core.failure import failure_message
from windlass_core.store import runs as stored
from windlass_core.store.crons import StoredCron
from windlass_core.store.workers import StoredWorker

STATUSES: dict[Phase, "run_pb2.RunStatus.ValueType"] = {
    Phase.SCHEDULED: run_pb2.RUN_STATUS_QUEUED,
    Phase.READY: run_pb2.RUN_STATUS_QUEUED,
    Phase.LEASED: run_pb2.RUN_STATUS_QUEUED,
    Phase.RUNNING: run_pb2.RUN_STATUS_RUNNING,
    Phase.BACKOFF: run_pb2.RUN_STATUS_QUEUED,
    Phase.COMPLETED: run_pb2.RUN_STATUS_COMPLETED,
    Phase.FAILED: run_pb2.RUN_STATUS_FAILED,
    Phase.CANCELLED: run_pb2.RUN_STATUS_CANCELLED,
}

_PHASES: dict[Phase, "run_pb2.RunPhase.ValueType"] = {
    Phase.SCHEDULED: run_pb2.RUN_PHASE_SCHEDULED,
    Phase.READY: run_pb2.RUN_PHASE_READY,
    Phase.LEASED: run_pb2.RUN_PHASE_LEASED,
    Phase.RUNNING: run_pb2.RUN_PHASE_RUNNING,
    Phase.BACKOFF: run_pb2.RUN_PHASE_BACKOFF,
    Phase.COMPLETED: run_pb2.RUN_PHASE_TERMINAL,
    Phase.FAILED: run_pb2.RUN_PHASE_TERMINAL,
    Phase.CANCELLED: run_pb2.RUN_PHASE_TERMINAL,
}

_WORKER_STATUSES: dict[str, "worker_pb2.WorkerStatus.ValueType"] = {
    "a": worker_pb2.WORKER_STATUS_ACTIVE,
    "d": worker_pb2.WORKER_STATUS_DRAINING,
    "g": worker_pb2.WORKER_STATUS_DISCONNECTED,
}


def to_run(run: stored.StoredRun) -> run_pb2.Run:
    """A run, without its failures."""
    message = run_pb2.Run(
        run_id=run.run_id,
        spec=run_pb2.RunSpec.FromString(run.spec),
        workflow_version=run.version,
        status=STATUSES[run.phase],
        phase=_PHASES[run.phase],
        attempt=run.attempt,
        created_at_ms=run.created_ms,
        ready_at_ms=run.ready_ms,
        started_at_ms=run.started_ms,
        finished_at_ms=run.finished_ms,
        output_json=run.output,
        worker_id=run.worker_id,
        cancel_requested=run.cancel_reason is not None,
        cancel_reason=run.cancel_reason or "",
        replays=run.replays,
        hook_run_id=run.hook_run_id,
    )
    # What its definition had for it.
    message.spec.priority = message.spec.priority or workflow_pb2.Priority.ValueType(run.level)
    message.spec.queue = message.spec.queue or flow_queue(run.flow)
    if run.progress:
        message.progress.ParseFromString(run.progress)
    return message


def to_state(run: stored.StoredRun, failure: stored.StoredFailure | None) -> run_pb2.RunState:
    """How a run stands; `failure` is its last one."""
    state = run_pb2.RunState(
        run_id=run.run_id,
        workflow_name=flow_task(run.flow),
        status=STATUSES[run.phase],
        phase=_PHASES[run.phase],
        attempt=run.attempt,
        created_at_ms=run.created_ms,
        started_at_ms=run.started_ms,
        finished_at_ms=run.finished_ms,
    )
    if run.progress:
        state.progress.ParseFromString(run.progress)
    if run.phase is Phase.CANCELLED:
        state.cancel_reason = run.cancel_reason or ""
    if run.phase is Phase.FAILED and failure is not None:
        state.failure.CopyFrom(failure_message(failure))
        state.failure.ClearField("traceback")
    return state


def to_worker(worker: StoredWorker, dispatchers: dict[str, str]) -> worker_pb2.Worker:
    """A worker; `dispatchers` are the addresses by incarnation."""
    message = worker_pb2.Worker.FromString(worker.info)
    message.status = _WORKER_STATUSES[worker.state]
    if worker.paused and message.status == worker_pb2.WORKER_STATUS_ACTIVE:
        message.status = worker_pb2.WORKER_STATUS_PAUSED
    for pool in message.slot_pools:
        pool.slots_used = worker.pools_used.get(pool.name, 0)
    message.slots_used = worker.slots_used
    message.dispatcher_address = dispatchers.get(worker.dispatcher, "")
    message.connected_at_ms = worker.since_ms
    message.session_expires_at_ms = worker.expires_ms
    return message


def to_cron(cron: StoredCron) -> schedule_pb2.Cron:
    """A cron; its next tick follows from what is settled."""
    spec = schedule_pb2.CronSpec.FromString(cron.body)
    return schedule_pb2.Cron(
        cron_id=cron.cron_id,
        spec=spec,
        declared=cron.declared,
        paused=cron.paused,
        created_at_ms=cron.created_ms,
        next_tick_ms=0 if cron.paused else _next_tick(spec, cron.settled_ms),
        last_tick_ms=cron.last_tick_ms,
        last_run_id=cron.last_run_id,
        last_error=cron.error,
        last_error_at_ms=cron.error_ms,
    )


def _next_tick(spec: schedule_pb2.CronSpec, after_ms: int) -> int:
    try:
        return next_tick(spec.schedule.expression, spec.schedule.timezone, after_ms)
    except InvalidField:
        return 0  # a zone that this machine has not: last_error tells of it


def to_log_line(entry: list[Any]) -> run_pb2.LogLine:
    """A line of a run's log."""
    at, level, text, attempt, trace, span = entry
    return run_pb2.LogLine(
        logged_at_ms=at,
        level=level.decode(),
        message=text.decode(),
        attempt=attempt,
        trace_id=trace.decode(),
        span_id=span.decode(),
    )


def to_chunk(entry: list[Any]) -> run_pb2.StreamChunk:
    """A chunk of a run's stream."""
    is_text, data, attempt = entry
    if is_text:
        return run_pb2.StreamChunk(text=data.decode(), attempt=attempt)
    return run_pb2.StreamChunk(binary=data, attempt=attempt)
