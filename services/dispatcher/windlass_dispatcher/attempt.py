"""Owns what a dispatcher knows of an attempt, and how it is told to a worker."""

from dataclasses import dataclass
from typing import Any

from windlass.v1 import dispatch_pb2, run_pb2
from windlass_core.domain.definition import Definition
from windlass_core.domain.retry import Budget
from windlass_core.failure import read_failure
from windlass_core.rpc.portion import portion

# As many as describe.lua gives.
LATEST_FAILURES = 20
# Of a run that has failed often the latest failures are told.
FAILURE_BYTES = 256 * 1024
# Ids, names and numbers of one.
_OVERHEAD_BYTES = 300


@dataclass(slots=True)
class Attempt:
    """One delivery.

    `spec` is None where it is large, and `failures` where there was no room for them: both are read from
    the run when it is sent. `spec_bytes` is the spec's length in any case.
    """

    run_id: str
    lease_id: str
    number: int
    flow: str
    version: str
    created_ms: int
    execution_timeout_ms: int
    spec: bytes | None
    cancelled: bool
    failures: list[bytes] | None
    spec_bytes: int
    # Empty where nothing of the run is recorded.
    traceparent: str = ""
    # It has to be alone in its process.
    isolated: bool = False
    # Known once it has been sent. Of a first attempt, where its workflow has one:
    budget: Budget | None = None
    # The name under which the run's output tells the task's; empty where it is the task's.
    output_name: str = ""

    @property
    def kept_bytes(self) -> int:
        """What it takes up while it waits to be sent."""
        return len(self.spec or b"") + sum(map(len, self.failures or ())) + _OVERHEAD_BYTES

    @property
    def wire_bytes(self) -> int:
        """About what its assignment has, rather more than less."""
        if self.failures is None:
            failures = FAILURE_BYTES
        else:
            failures = min(sum(map(len, self.failures)), FAILURE_BYTES) if self.failures else 0
        return self.spec_bytes + failures + _OVERHEAD_BYTES

    def leave_in_store(self) -> None:
        """Keeps what is small of it."""
        self.spec = None
        self.failures = None if self.number > 1 else []


def to_attempt(entry: list[Any]) -> Attempt:
    """An attempt as scripts describe it."""
    run, lease, number, flow, version, created, timeout, spec, cancelled, failures, traceparent, *isolated = entry
    is_large = isinstance(spec, int)
    return Attempt(
        run.decode(), lease.decode(), number, flow.decode(), version.decode(), created, timeout,
        None if is_large else spec or None, bool(cancelled), failures or [],
        spec if is_large else len(spec or b""), traceparent.decode(), bool(isolated),
    )  # fmt: skip


def to_assignment(
    attempt: Attempt, spec_bytes: bytes, failures: list[bytes], definition: Definition | None
) -> dispatch_pb2.Assignment:
    """The message for the worker."""
    spec = run_pb2.RunSpec.FromString(spec_bytes)
    task = definition.task_of(spec) if definition is not None else None
    policy = spec.retry if spec.HasField("retry") else task.retry if task else None
    if definition is not None:
        attempt.output_name = definition.output_name(spec)
        if attempt.number == 1:
            attempt.budget = definition.budget
    message = dispatch_pb2.Assignment(
        run_id=attempt.run_id,
        lease_id=attempt.lease_id,
        attempt=attempt.number,
        max_attempts=policy.max_attempts or 1 if policy else 1,
        task_name=task.name if task else spec.workflow_name,
        spec=spec,
        execution_timeout_ms=attempt.execution_timeout_ms,
        created_at_ms=attempt.created_ms,
        cancel_requested=attempt.cancelled,
    )
    if task is not None and task.soft_timeout_ms:
        message.soft_timeout_ms = task.soft_timeout_ms
    if attempt.isolated:
        message.isolated = True
    if failures:
        latest = portion(map(_read_briefly, reversed(failures)), FAILURE_BYTES)
        # Attempts before a replay were counted by themselves.
        message.failures.extend(f for f in reversed(latest) if f.replay == latest[0].replay)
    return message


def _read_briefly(entry: bytes) -> run_pb2.Failure:
    failure = read_failure(entry)
    failure.ClearField("traceback")
    return failure
