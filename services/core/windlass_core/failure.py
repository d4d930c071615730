"""Owns the Failure message: what the worker told, with what the store knows of the attempt."""

from windlass.v1 import run_pb2
from windlass_core.store.runs import StoredFailure, to_failure
from windlass_core.store.scripts import unpack


def failure_message(failure: StoredFailure) -> run_pb2.Failure:
    """A failed attempt, as a message."""
    message = run_pb2.Failure.FromString(failure.body)
    message.attempt = failure.attempt
    message.worker_id = failure.worker_id
    message.started_at_ms = failure.started_ms
    message.failed_at_ms = failure.failed_ms
    message.replay = failure.replay
    message.out_of_budget = failure.out_of_budget
    return message


def read_failure(entry: bytes) -> run_pb2.Failure:
    """The same, from the bytes that a script keeps."""
    return failure_message(to_failure(unpack(entry)))
