"""What became of an attempt, as it passes from whoever executed it to the stream.

Owns the two shapes only. They become protobuf messages once, when they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from windlass.v1 import run_pb2


class Completion(NamedTuple):
    """The attempt ended with an output, one JSON value as UTF-8 bytes."""

    lease_id: str
    run_id: str
    output_json: bytes


class FailedAttempt(NamedTuple):
    """The attempt ended with a failure, or was handed back unfinished (`released`)."""

    lease_id: str
    run_id: str
    failure: run_pb2.Failure
    released: bool = False


Outcome: TypeAlias = Completion | FailedAttempt


class ToldProgress(NamedTuple):
    """How far an attempt says that it is."""

    lease_id: str
    run_id: str
    progress: run_pb2.Progress


class LoggedLine(NamedTuple):
    """A line that an attempt logged."""

    lease_id: str
    run_id: str
    line: run_pb2.LogLine
