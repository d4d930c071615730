"""What became of an attempt, as it passes from whoever executed it to the stream.

Owns the shapes, and those that are always the same. They become protobuf messages once, when they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from windlass.v1 import run_pb2

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2


class Completion(NamedTuple):
    """The attempt ended with an output, one JSON value as UTF-8 bytes."""

    lease_id: str
    run_id: str
    output_json: bytes


class FailedAttempt(NamedTuple):
    """The attempt ended with a failure, was handed back unfinished (`released`), or lost its process (`crash`)."""

    lease_id: str
    run_id: str
    failure: run_pb2.Failure
    released: bool = False
    crash: dispatch_pb2.Crash.ValueType | None = None


Outcome: TypeAlias = Completion | FailedAttempt


def released(lease_id: str, run_id: str, reason: str) -> FailedAttempt:
    """Hand an attempt back unfinished: uncharged, to be run again elsewhere."""
    return FailedAttempt(lease_id, run_id, run_pb2.Failure(type="Released", message=reason), released=True)


def cancelled(lease_id: str, run_id: str) -> FailedAttempt:
    """Say that an attempt was never started."""
    failure = run_pb2.Failure(type="RunCancelled", message="cancelled before it was started")
    return FailedAttempt(lease_id, run_id, failure)


class ToldProgress(NamedTuple):
    """How far an attempt says that it is."""

    lease_id: str
    run_id: str
    progress: run_pb2.Progress


class RefreshedTimeout(NamedTuple):
    """The attempt may execute `timeout_ms` from `asked_at` on, a time of the session's clock."""

    run_id: str
    timeout_ms: int
    asked_at: float

    def left_ms(self, now: float) -> int:
        """What is left of it; 1 at the least."""
        return max(self.timeout_ms - round((now - self.asked_at) * 1000), 1)


class LoggedLine(NamedTuple):
    """A line that an attempt logged."""

    lease_id: str
    run_id: str
    line: run_pb2.LogLine


class PutChunk(NamedTuple):
    """A chunk that an attempt put into its run's stream. The session numbers those of an attempt, from 0."""

    lease_id: str
    run_id: str
    chunk: run_pb2.StreamChunk
    number: int = 0
