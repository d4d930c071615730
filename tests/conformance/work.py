"""Owns the tasks that a worker under test serves: how they are asked for, what they must give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.scripted_dispatcher import assignment
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.support.worker_link import Outcome

#: Those that every worker serves. The others belong to what a worker may leave out.
TASKS = frozenset(
    {
        "conformance.echo",
        "conformance.fail",
        "conformance.hold",
        "conformance.stubborn",
        "conformance.big",
        "conformance.log",
    }
)
#: Longer than any case lasts.
FOR_EVER_MS = 600_000
#: How a process ends that `crash` has ended.
CRASH_STATUS = 73


def echo(value: object = None, **fields: Any) -> dispatch_pb2.Assignment:
    """Return the input."""
    given = {"value": value}
    return assignment("conformance.echo", json.dumps(given).encode(), **fields)


def fail(message: str, *, retryable: bool = True) -> dispatch_pb2.Assignment:
    """Fail with this message."""
    return assignment("conformance.fail", json.dumps({"message": message, "retryable": retryable}).encode())


def hold(milliseconds: int = FOR_EVER_MS, **fields: Any) -> dispatch_pb2.Assignment:
    """Wait, and end early when cancelled."""
    return assignment("conformance.hold", json.dumps({"ms": milliseconds}).encode(), **fields)


def stubborn(milliseconds: int = FOR_EVER_MS) -> dispatch_pb2.Assignment:
    """Wait, whatever anybody asks for."""
    return assignment("conformance.stubborn", json.dumps({"ms": milliseconds}).encode())


def big(size: int) -> dispatch_pb2.Assignment:
    """Return so many bytes."""
    return assignment("conformance.big", json.dumps({"bytes": size}).encode())


def log(lines: int, **fields: Any) -> dispatch_pb2.Assignment:
    """Log so many lines."""
    return assignment("conformance.log", json.dumps({"lines": lines}).encode(), **fields)


def progress(steps: int, every_ms: int) -> dispatch_pb2.Assignment:
    """Tell of so many steps, so far apart."""
    return assignment("conformance.progress", json.dumps({"steps": steps, "every_ms": every_ms}).encode())


def limits(
    milliseconds: int = FOR_EVER_MS, *, refresh_ms: int = 0, then_ms: int = 0, **fields: Any
) -> dispatch_pb2.Assignment:
    """Ask for more time first, unless that is 0; wait until told that time is short, and go on a little then."""
    given = {"ms": milliseconds, "refresh_ms": refresh_ms, "then_ms": then_ms}
    return assignment("conformance.limits", json.dumps(given).encode(), **fields)


def release(milliseconds: int = FOR_EVER_MS) -> dispatch_pb2.Assignment:
    """Give up the slot, and wait."""
    return assignment("conformance.release", json.dumps({"ms": milliseconds}).encode())


def label(name: str, value: str) -> dispatch_pb2.Assignment:
    """Set a label of the worker."""
    return assignment("conformance.label", json.dumps({"name": name, "value": value}).encode())


def stream(chunks: int, *, every_ms: int = 0, **fields: Any) -> dispatch_pb2.Assignment:
    """Stream so many chunks, so far apart."""
    return assignment("conformance.stream", json.dumps({"chunks": chunks, "every_ms": every_ms}).encode(), **fields)


def crash(after_ms: int, **fields: Any) -> dispatch_pb2.Assignment:
    """End the process that executes it, with `CRASH_STATUS`."""
    given = {"ms": after_ms, "status": CRASH_STATUS}
    return assignment("conformance.crash", json.dumps(given).encode(), **fields)


def expect_output(outcome: Outcome, expected: object) -> None:
    """Check that an attempt completed with this JSON value."""
    assert isinstance(outcome, dispatch_pb2.Completed), f"expected completed, got failed: {_told(outcome)}"
    given = json.loads(outcome.output_json or b"null")
    assert given == expected, f"expected the output {expected!r}, got {given!r}"


def expect_failure(outcome: Outcome) -> dispatch_pb2.Failed:
    """Check that an attempt failed, and was not handed back."""
    assert isinstance(outcome, dispatch_pb2.Failed), f"expected failed, got completed: {outcome.output_json[:80]!r}"
    assert not outcome.released, f"expected failed, got released: {_told(outcome)}"
    assert outcome.failure.type, "a failure has no type"
    return outcome


def _told(failed: dispatch_pb2.Failed) -> str:
    return f"{failed.failure.type}: {failed.failure.message[:200]}"
