"""Owns what a dispatcher knows of an attempt, and how it is told to a worker."""

from dataclasses import dataclass
from typing import Any

from windlass.v1 import dispatch_pb2, run_pb2
from windlass_core.domain.definition import Definition
from windlass_core.failure import read_failure
from windlass_core.rpc.portion import portion

# Of a run that has failed often the latest failures are told.
_FAILURE_BYTES = 256 * 1024


@dataclass(slots=True)
class Attempt:
    """One delivery. `spec` is None until a large one has been read from its run."""

    run_id: str
    lease_id: str
    number: int
    flow: str
    version: str
    created_ms: int
    execution_timeout_ms: int
    spec: bytes | None
    cancelled: bool
    failures: list[bytes]
    # Empty where nothing of the run is recorded.
    traceparent: str = ""


def to_attempt(entry: list[Any]) -> Attempt:
    """An attempt as scripts describe it."""
    run, lease, number, flow, version, created, timeout, spec, cancelled, failures, traceparent = entry
    return Attempt(
        run.decode(), lease.decode(), number, flow.decode(), version.decode(), created, timeout,
        spec or None, bool(cancelled), failures or [], traceparent.decode(),
    )  # fmt: skip


def to_assignment(attempt: Attempt, definition: Definition | None) -> dispatch_pb2.Assignment:
    """The message for the worker."""
    spec = run_pb2.RunSpec.FromString(attempt.spec or b"")
    if spec.HasField("retry"):
        max_attempts = spec.retry.max_attempts or 1
    else:
        max_attempts = definition.retry.max_attempts if definition else 1
    message = dispatch_pb2.Assignment(
        run_id=attempt.run_id,
        lease_id=attempt.lease_id,
        attempt=attempt.number,
        max_attempts=max_attempts,
        task_name=spec.workflow_name,
        spec=spec,
        execution_timeout_ms=attempt.execution_timeout_ms,
        created_at_ms=attempt.created_ms,
        cancel_requested=attempt.cancelled,
    )
    latest = portion(map(_read_briefly, reversed(attempt.failures)), _FAILURE_BYTES)
    message.failures.extend(reversed(latest))
    return message


def _read_briefly(entry: bytes) -> run_pb2.Failure:
    failure = read_failure(entry)
    failure.ClearField("traceback")
    return failure
