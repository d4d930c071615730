"""What workers report of attempts: which outputs and failures are taken, and what is cut."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dispatcher_session import attempt, completed, opened, receive
from windlass.v1 import dispatch_pb2, run_pb2
from windlass_core.domain.errors import ProtocolError
from windlass_core.domain.limits import MAX_PAYLOAD_BYTES
from windlass_dispatcher.session import (
    Accept,
    Complete,
    Fail,
)


def test_an_attempt_is_accepted_once_and_only_if_delivered_here() -> None:
    """Others are known to the store, or lost."""
    session = opened("l1")
    report = dispatch_pb2.Report(accepted_lease_ids=["l1", "l1", "other"])
    assert receive(session, report=report) == [Accept([("run-l1", "l1")])]
    assert receive(session, report=report) == []


def test_what_another_dispatcher_delivered_can_end_here() -> None:
    """The report names its run."""
    session = opened()
    failed = dispatch_pb2.Failed(lease_id="l9", run_id="run-l9", failure=run_pb2.Failure(type="E"))
    effects = receive(session, report=dispatch_pb2.Report(completed=[completed("l8")], failed=[failed]))
    assert effects[0] == Complete([("run-l8", "l8", b"1")], [None])
    assert isinstance(effects[1], Fail)
    assert effects[1].attempt is None


def test_an_empty_report_does_nothing() -> None:
    """Neither good nor harm."""
    assert receive(opened("l1"), report=dispatch_pb2.Report()) == []


def test_an_empty_output_is_null() -> None:
    """As the contract says."""
    effects = receive(opened("l1"), report=dispatch_pb2.Report(completed=[completed("l1", b"")]))
    assert effects == [Complete([("run-l1", "l1", b"null")], [attempt("l1")])]


@pytest.mark.parametrize(
    ("output", "type_"),
    [
        (b'"' + b"x" * MAX_PAYLOAD_BYTES + b'"', "PayloadTooLarge"),
        (b"{", "SerializationError"),
        (b"1 2", "SerializationError"),
        (b"nonsense", "SerializationError"),
        (b"\xff\xfe", "SerializationError"),
        (b"NaN", "SerializationError"),
    ],
)
def test_an_output_that_cannot_be_taken_fails_for_good(output: bytes, type_: str) -> None:
    """The worker is told that it was rejected; the good ones beside it are taken."""
    session = opened("l1", "l2")
    report = dispatch_pb2.Report(completed=[completed("l1", output), completed("l2")])
    fail, complete = receive(session, report=report)
    assert isinstance(fail, Fail)
    assert (fail.lease_id, fail.rejected, fail.failure.type, fail.failure.non_retryable) == ("l1", True, type_, True)
    assert complete == Complete([("run-l2", "l2", b"1")], [attempt("l2")])


def test_the_largest_output_is_taken() -> None:
    """1 MiB to the byte."""
    output = b'"' + b"x" * (MAX_PAYLOAD_BYTES - 2) + b'"'
    (effect,) = receive(opened("l1"), report=dispatch_pb2.Report(completed=[completed("l1", output)]))
    assert isinstance(effect, Complete)


def test_long_failures_are_cut() -> None:
    """Of the traceback, the middle goes."""
    failure = run_pb2.Failure(type="T" * 300, message="m" * 20_000, traceback="a" * 20_000 + "b" * 20_000)
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", failure=failure)
    (effect,) = receive(opened("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    cut = effect.failure
    assert (len(cut.type), len(cut.message)) == (200, 16 * 1024)
    assert len(cut.traceback) <= 32 * 1024 + 3
    assert cut.traceback.startswith("a")
    assert cut.traceback.endswith("b")
    assert "…" in cut.traceback


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"released": True}, "release"),
        ({"crash": dispatch_pb2.CRASH_ALONE}, "crash"),
        ({"crash": dispatch_pb2.CRASH_AMONG_OTHERS}, "among"),
    ],
)
def test_what_did_not_end_by_itself_is_not_the_policys_to_judge(fields: dict[str, Any], verdict: str) -> None:
    """A crash has the engine's own type, whatever the worker calls it, and the worker's message."""
    failure = run_pb2.Failure(type="SIGSEGV", message="exit code -11")
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", failure=failure, **fields)
    (effect,) = receive(opened("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert effect.verdict == verdict
    told = "SIGSEGV" if verdict == "release" else "Crashed"
    assert (effect.failure.type, effect.failure.message) == (told, "exit code -11")


@pytest.mark.parametrize("fields", [{"crash": 7}, {"crash": dispatch_pb2.CRASH_ALONE, "released": True}])
def test_a_crash_that_makes_no_sense_breaks_the_protocol(fields: dict[str, Any]) -> None:
    """A kind that this engine does not know, or one that was handed back besides."""
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", **fields)
    with pytest.raises(ProtocolError, match=r"report\.failed"):
        receive(opened("l1"), report=dispatch_pb2.Report(failed=[failed]))


def test_base_types_are_cut_and_counted() -> None:
    """The nearest twenty."""
    failure = run_pb2.Failure(type="E", base_types=["T" * 300] + [str(i) for i in range(50)])
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", failure=failure)
    (effect,) = receive(opened("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert list(effect.failure.base_types) == ["T" * 200, *(str(i) for i in range(19))]


def test_a_failure_without_a_type_is_an_error() -> None:
    """Whatever a worker leaves out."""
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1")
    (effect,) = receive(opened("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert effect.failure.type == "Error"
