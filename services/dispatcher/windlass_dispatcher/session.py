"""Owns the engine's half of the worker protocol, without I/O: a message comes in, effects come out.

`stream.py` carries the effects out. What is true of leases is the store's to say; the session only
remembers what it has sent, to tell a deaf worker from a slow one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from pydantic_core import from_json

from windlass.v1 import dispatch_pb2, dispatch_service_pb2, run_pb2
from windlass_core.domain.errors import InvalidField, ProtocolError
from windlass_core.domain.limits import (
    MAX_CHUNK_BYTES,
    MAX_DURATION_MS,
    MAX_ITEMS_PER_MESSAGE,
    MAX_LABELS,
    MAX_LEASES_PER_MESSAGE,
    MAX_LOG_MESSAGE_BYTES,
    MAX_NAME_LENGTH,
    MAX_OUTCOMES_PER_MESSAGE,
    MAX_PAYLOAD_BYTES,
    MAX_PROGRESS_MESSAGE,
    MAX_SLOT_POOLS,
    MAX_SLOTS,
)
from windlass_core.domain.names import check_name, check_pool, check_worker_id
from windlass_core.domain.placement import DEFAULT_POOL
from windlass_core.store.runs import FailureVerdict
from windlass_dispatcher.attempt import Attempt

_MAX_FAILURE_TEXT = 16 * 1024
_MAX_TRACEBACK = 32 * 1024
# The names of levels, and ids in hexadecimal digits.
_MAX_WORD = 64
_MAX_BASE_TYPES = 20

_CRASHES: dict[int, FailureVerdict] = {
    dispatch_pb2.CRASH_ALONE: "crash",
    dispatch_pb2.CRASH_AMONG_OTHERS: "among",
}


@dataclass(frozen=True, slots=True)
class Enrol:
    """Make the worker's state true; the answer is Welcome."""

    hello: dispatch_pb2.Hello


@dataclass(frozen=True, slots=True)
class Accept:
    """These attempts run: (run, lease)."""

    attempts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Complete:
    """These attempts ended: (run, lease, output).

    `known` has for each what this dispatcher knows of it, None where another one delivered it.
    """

    attempts: list[tuple[str, str, bytes]]
    known: list[Attempt | None]


@dataclass(frozen=True, slots=True)
class Fail:
    """This attempt failed.

    `attempt` is None where another dispatcher delivered it; `verdict` where it is not the policy's to
    say what follows; `rejected`: the worker meant it as completed.
    """

    run_id: str
    lease_id: str
    attempt: Attempt | None
    failure: run_pb2.Failure
    verdict: FailureVerdict | None = None
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """These attempts want more time: (run, lease, execution timeout from now on in milliseconds)."""

    attempts: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class ReleaseSlots:
    """These attempts go on without their slots: (run, lease)."""

    attempts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Relabel:
    """The worker has these labels from now on, and no others."""

    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Beat:
    """Renew the session and reconcile the leases."""

    sequence: int
    lease_ids: list[str]


@dataclass(frozen=True, slots=True)
class KeepLogs:
    """Keep these lines."""

    logs: list[dispatch_pb2.TaskLog]


@dataclass(frozen=True, slots=True)
class KeepProgress:
    """Keep how far these attempts are."""

    progresses: list[dispatch_pb2.TaskProgress]


@dataclass(frozen=True, slots=True)
class KeepChunks:
    """Keep these chunks of streams, and acknowledge them."""

    chunks: list[dispatch_pb2.TaskChunks]


@dataclass(frozen=True, slots=True)
class Drain:
    """No new work for this worker."""


Effect = (
    Enrol
    | Accept
    | Refresh
    | ReleaseSlots
    | Complete
    | Fail
    | Beat
    | KeepLogs
    | KeepProgress
    | KeepChunks
    | Relabel
    | Drain
)


@dataclass(slots=True)
class WorkerSession:
    """One stream's state. Times are monotonic seconds, passed in."""

    accept_timeout_s: float
    worker_id: str = ""
    draining: bool = False
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    # Leases sent and not yet heard of, oldest first, with the time by which they must be.
    _unaccepted: dict[str, float] = field(default_factory=dict)

    def receive(self, message: dispatch_service_pb2.ConnectRequest) -> list[Effect]:
        """What the message asks for. Raises ProtocolError and InvalidField: end the stream then."""
        kind = message.WhichOneof("message")
        if (kind == "hello") == bool(self.worker_id):
            raise ProtocolError("Hello may come only once" if self.worker_id else f"expected Hello first, got {kind}")
        match kind:
            case "report":
                return self._report(message.report)
            case "heartbeat":
                held = message.heartbeat.lease_ids
                _check_count(len(held), MAX_LEASES_PER_MESSAGE, "heartbeat.lease_ids")
                return [Beat(message.heartbeat.sequence, list(held))]
            case "logs":
                return self._logs(message.logs)
            case "progresses":
                return self._progresses(message.progresses)
            case "chunks":
                return [KeepChunks(_checked(message.chunks))]
            case "hello":
                return self._hello(message.hello)
            case "labels":
                labels = dict(message.labels.labels)
                _check_labels(labels, "labels.labels")
                return [Relabel(labels)]
            case "draining":
                self.draining = True
                return [Drain()]
            case _:
                raise ProtocolError("expected a message, got none")

    def deliver(self, attempts: list[Attempt], now: float) -> None:
        """These go out to the worker now."""
        deadline = now + self.accept_timeout_s
        for attempt in attempts:
            self._attempts[attempt.lease_id] = attempt
            self._unaccepted[attempt.lease_id] = deadline

    def next_deadline(self) -> float | None:
        """When the oldest unaccepted attempt makes the worker deaf; None: there is none."""
        return next(iter(self._unaccepted.values()), None)

    def unaccepted(self) -> list[Attempt]:
        """The attempts that the worker has not accepted."""
        return [self._attempts[lease] for lease in self._unaccepted]

    def forget(self, lease_id: str) -> None:
        """The attempt is over, or no longer this worker's."""
        self._attempts.pop(lease_id, None)
        self._unaccepted.pop(lease_id, None)

    def _hello(self, hello: dispatch_pb2.Hello) -> list[Effect]:
        check_worker_id(hello.worker_id, "hello.worker_id")
        if not 1 <= hello.slots <= MAX_SLOTS:
            raise InvalidField(f"hello.slots: expected 1 to {MAX_SLOTS}, got {hello.slots}", "hello.slots")
        if not hello.workflows:
            raise InvalidField("hello.workflows: expected at least one", "hello.workflows")
        for name, many, most in (
            ("workflows", hello.workflows, MAX_ITEMS_PER_MESSAGE),
            ("queues", hello.queues, MAX_ITEMS_PER_MESSAGE),
            ("slot_pools", hello.slot_pools, MAX_SLOT_POOLS),
            ("held_lease_ids", hello.held_lease_ids, MAX_LEASES_PER_MESSAGE),
        ):
            if len(many) > most:
                raise InvalidField(f"hello.{name}: expected at most {most}, got {len(many)}", f"hello.{name}")
        _check_labels(hello.labels, "hello.labels")
        for pool, slots in hello.slot_pools.items():
            check_pool(pool, "hello.slot_pools")
            if pool == DEFAULT_POOL:
                raise InvalidField(f"hello.slot_pools: the slots of {pool!r} are hello.slots", "hello.slot_pools")
            if not 1 <= slots <= MAX_SLOTS:
                raise InvalidField(
                    f"hello.slot_pools: expected 1 to {MAX_SLOTS} of {pool!r}, got {slots}", "hello.slot_pools"
                )
        if len(hello.name) > MAX_NAME_LENGTH:
            raise InvalidField(f"hello.name: over {MAX_NAME_LENGTH} characters", "hello.name")
        for i, queue in enumerate(hello.queues):
            check_name(queue, f"hello.queues[{i}]")
        self.worker_id = hello.worker_id
        self.draining = hello.draining
        return [Enrol(hello)]

    def _report(self, report: dispatch_pb2.Report) -> list[Effect]:
        _check_count(len(report.accepted_lease_ids), MAX_LEASES_PER_MESSAGE, "report.accepted_lease_ids")
        _check_count(len(report.refreshed), MAX_OUTCOMES_PER_MESSAGE, "report.refreshed")
        _check_count(len(report.released_slots), MAX_OUTCOMES_PER_MESSAGE, "report.released_slots")
        _check_count(len(report.completed) + len(report.failed), MAX_OUTCOMES_PER_MESSAGE, "report: outcomes")
        effects: list[Effect] = []
        accepted = [
            (self._attempts[lease].run_id, lease)
            for lease in report.accepted_lease_ids
            if self._unaccepted.pop(lease, None) is not None
        ]
        if accepted:
            effects.append(Accept(accepted))
        if report.refreshed:
            effects.append(Refresh([_refresh(item) for item in report.refreshed]))
        if report.released_slots:
            effects.append(ReleaseSlots([(item.run_id, item.lease_id) for item in report.released_slots]))
        completed: list[tuple[str, str, bytes]] = []
        known: list[Attempt | None] = []
        for item in report.completed:
            output = item.output_json or b"null"
            wrong = _wrong_output(output)
            if wrong is None:
                known.append(self._attempts.get(item.lease_id))
                self.forget(item.lease_id)
                completed.append((item.run_id, item.lease_id, output))
            else:
                effects.append(self._fail(item.run_id, item.lease_id, wrong, rejected=True))
        if completed:
            effects.append(Complete(completed, known))
        effects += [
            self._fail(item.run_id, item.lease_id, _cut(item.failure), _verdict(item)) for item in report.failed
        ]
        return effects

    def _fail(
        self,
        run_id: str,
        lease_id: str,
        failure: run_pb2.Failure,
        verdict: FailureVerdict | None = None,
        *,
        rejected: bool = False,
    ) -> Fail:
        attempt = self._attempts.get(lease_id)
        self.forget(lease_id)
        return Fail(run_id, lease_id, attempt, failure, verdict, rejected)

    def _logs(self, logs: dispatch_pb2.Logs) -> list[Effect]:
        most = 10 * MAX_ITEMS_PER_MESSAGE
        _check_count(max(len(logs.logs), sum(len(log.lines) for log in logs.logs)), most, "log lines")
        for log in logs.logs:
            for line in log.lines:
                line.message = line.message[:MAX_LOG_MESSAGE_BYTES]
                line.level = line.level[:_MAX_WORD]
                line.trace_id = line.trace_id[:_MAX_WORD]
                line.span_id = line.span_id[:_MAX_WORD]
        return [KeepLogs(list(logs.logs))]

    def _progresses(self, message: dispatch_pb2.Progresses) -> list[Effect]:
        _check_count(len(message.progresses), MAX_LEASES_PER_MESSAGE, "progresses")
        kept = [each for each in message.progresses if isfinite(each.progress.done + each.progress.total)]
        for each in kept:
            each.progress.message = each.progress.message[:MAX_PROGRESS_MESSAGE]
        return [KeepProgress(kept)]


def _checked(message: dispatch_pb2.Chunks) -> list[dispatch_pb2.TaskChunks]:
    most = 10 * MAX_ITEMS_PER_MESSAGE
    _check_count(max(len(message.chunks), sum(len(each.chunks) for each in message.chunks)), most, "chunks")
    for each in message.chunks:
        for chunk in each.chunks:
            if chunk.WhichOneof("data") is None:
                raise ProtocolError("chunks: expected text or binary, got a chunk with neither")
            size = len(chunk.binary or chunk.text.encode())
            if size > MAX_CHUNK_BYTES:
                raise ProtocolError(f"chunks: expected at most {MAX_CHUNK_BYTES} bytes in each, got {size}")
    return list(message.chunks)


def _check_count(count: int, most: int, what: str) -> None:
    if count > most:
        raise ProtocolError(f"{what}: expected at most {most} at once, got {count}")


def _check_labels(labels: Mapping[str, str], field: str) -> None:
    if len(labels) > MAX_LABELS:
        raise InvalidField(f"{field}: expected at most {MAX_LABELS}, got {len(labels)}", field)
    for name, value in labels.items():
        if max(len(name), len(value)) > MAX_NAME_LENGTH:
            raise InvalidField(f"{field}: {name[:60]!r} has over {MAX_NAME_LENGTH} characters", field)


def _wrong_output(output: bytes) -> run_pb2.Failure | None:
    """Why an output can't be taken, None where it can."""
    if len(output) > MAX_PAYLOAD_BYTES:
        return run_pb2.Failure(
            type="PayloadTooLarge",
            message=f"the output has {len(output)} bytes, at most {MAX_PAYLOAD_BYTES} are taken",
            non_retryable=True,
        )
    try:
        from_json(output, allow_inf_nan=False)
    except ValueError as error:
        return run_pb2.Failure(
            type="SerializationError",
            message=f"the output is not JSON: {error}",
            non_retryable=True,
        )
    return None


def _refresh(item: dispatch_pb2.TimeoutRefresh) -> tuple[str, str, int]:
    timeout_ms = item.execution_timeout_ms
    if not 1 <= timeout_ms <= MAX_DURATION_MS:
        raise ProtocolError(f"report.refreshed.execution_timeout_ms: expected 1 ms to 366 days, got {timeout_ms} ms")
    return item.run_id, item.lease_id, timeout_ms


def _verdict(failed: dispatch_pb2.Failed) -> FailureVerdict | None:
    """What follows of an attempt that did not end by itself; None: it did. Raises ProtocolError."""
    if failed.crash == dispatch_pb2.CRASH_UNSPECIFIED:
        return "release" if failed.released else None
    if failed.released:
        raise ProtocolError("report.failed: what has crashed can't be handed back: expected released or crash")
    if failed.crash not in _CRASHES:
        raise ProtocolError(f"report.failed.crash: expected a known one, got {failed.crash}")
    failed.failure.type = "Crashed"
    return _CRASHES[failed.crash]


def _cut(failure: run_pb2.Failure) -> run_pb2.Failure:
    """The failure within its limits."""
    failure.type = failure.type[:MAX_NAME_LENGTH] or "Error"
    failure.message = failure.message[:_MAX_FAILURE_TEXT]
    failure.base_types[:] = [name[:MAX_NAME_LENGTH] for name in failure.base_types[:_MAX_BASE_TYPES]]
    if len(failure.traceback) > _MAX_TRACEBACK:
        half = _MAX_TRACEBACK // 2
        failure.traceback = f"{failure.traceback[:half]}\n…\n{failure.traceback[-half:]}"
    return failure
