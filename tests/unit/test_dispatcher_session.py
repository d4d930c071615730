"""The engine's half of the worker protocol, without I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from windlass.v1 import dispatch_pb2, dispatch_service_pb2, run_pb2, workflow_pb2
from windlass_core.domain.definition import check_definition
from windlass_core.domain.errors import InvalidField, ProtocolError
from windlass_core.domain.limits import MAX_LOG_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, MAX_SLOTS
from windlass_dispatcher.attempt import Attempt, to_assignment
from windlass_dispatcher.session import (
    Accept,
    Beat,
    Complete,
    Drain,
    Enrol,
    Fail,
    KeepLogs,
    KeepProgress,
    Refresh,
    Relabel,
    ReleaseSlots,
    WorkerSession,
)

if TYPE_CHECKING:
    from windlass_dispatcher.session import Effect

WORKER = "w" * 16


def _receive(session: WorkerSession, **message: Any) -> list[Effect]:
    return session.receive(dispatch_service_pb2.ConnectRequest(**message))


def _hello(**fields: Any) -> dispatch_pb2.Hello:
    given = {"worker_id": WORKER, "slots": 3, "workflows": [workflow_pb2.WorkflowDefinition(name="a")], **fields}
    return dispatch_pb2.Hello(**given)


def _attempt(lease: str) -> Attempt:
    return Attempt(f"run-{lease}", lease, 1, "default|default|a", "v1", 5, 0, b"", False, [], 0)


def _open(*leases: str) -> WorkerSession:
    session = WorkerSession(accept_timeout_s=5)
    _receive(session, hello=_hello())
    session.deliver([_attempt(lease) for lease in leases], now=100.0)
    return session


def _completed(lease: str, output: bytes = b"1") -> dispatch_pb2.Completed:
    return dispatch_pb2.Completed(lease_id=lease, run_id=f"run-{lease}", output_json=output)


def test_hello_comes_first() -> None:
    """It enrols the worker."""
    session = WorkerSession(5)
    (effect,) = _receive(session, hello=_hello())
    assert isinstance(effect, Enrol)
    assert (session.worker_id, session.draining) == (WORKER, False)


@pytest.mark.parametrize(
    "message",
    [
        {"heartbeat": dispatch_pb2.Heartbeat()},
        {"report": dispatch_pb2.Report()},
        {"logs": dispatch_pb2.Logs()},
        {"progresses": dispatch_pb2.Progresses()},
        {"draining": dispatch_pb2.Draining()},
        {"labels": dispatch_pb2.Labels()},
        {},
    ],
)
def test_nothing_else_comes_first(message: dict[str, Any]) -> None:
    """The stream is ended, and says why."""
    with pytest.raises(ProtocolError, match="expected Hello first"):
        _receive(WorkerSession(5), **message)


def test_hello_comes_once() -> None:
    """A second one breaks the protocol."""
    with pytest.raises(ProtocolError, match="only once"):
        _receive(_open(), hello=_hello())


def test_an_empty_message_breaks_the_protocol() -> None:
    """After Hello, too: a newer worker may know kinds that this engine does not."""
    with pytest.raises(ProtocolError, match="got none"):
        _receive(_open())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"worker_id": "short"}, "hello.worker_id"),
        ({"slots": 0}, "hello.slots"),
        ({"slots": MAX_SLOTS + 1}, "hello.slots"),
        ({"workflows": []}, "hello.workflows"),
        ({"name": "x" * 201}, "hello.name"),
        ({"queues": ["good", "no good"]}, "hello.queues[1]"),
        ({"queues": ["q"] * 1001}, "hello.queues"),
        ({"workflows": [workflow_pb2.WorkflowDefinition(name="a")] * 1001}, "hello.workflows"),
        ({"labels": {str(i): "x" for i in range(101)}}, "hello.labels"),
        ({"labels": {"zone": "x" * 201}}, "hello.labels"),
        ({"slot_pools": {"gpu": 0}}, "hello.slot_pools"),
        ({"slot_pools": {"gpu": MAX_SLOTS + 1}}, "hello.slot_pools"),
        ({"slot_pools": {"default": 1}}, "hello.slot_pools"),
        ({"slot_pools": {"a|b": 1}}, "hello.slot_pools"),
        ({"slot_pools": {str(i): 1 for i in range(21)}}, "hello.slot_pools"),
    ],
)
def test_a_wrong_hello_is_refused_with_its_field(fields: dict[str, Any], field: str) -> None:
    """Nothing is enrolled."""
    session = WorkerSession(5)
    with pytest.raises(InvalidField) as raised:
        _receive(session, hello=_hello(**fields))
    assert raised.value.field == field
    assert not session.worker_id


def test_a_draining_worker_says_so_in_hello_or_later() -> None:
    """Both are remembered."""
    session = WorkerSession(5)
    _receive(session, hello=_hello(draining=True))
    assert session.draining
    other = _open()
    assert _receive(other, draining=dispatch_pb2.Draining()) == [Drain()]
    assert other.draining


def test_heartbeats_carry_their_leases() -> None:
    """And their number, which the answer echoes."""
    beat = dispatch_pb2.Heartbeat(sequence=7, lease_ids=["l1", "l2"])
    assert _receive(_open(), heartbeat=beat) == [Beat(7, ["l1", "l2"])]


def test_a_report_is_carried_out_in_the_order_of_a_life() -> None:
    """First what is accepted, then what completed, then what failed."""
    session = _open("l1", "l2", "l3")
    report = dispatch_pb2.Report(
        failed=[dispatch_pb2.Failed(lease_id="l3", run_id="run-l3", failure=run_pb2.Failure(type="E"))],
        completed=[_completed("l2")],
        accepted_lease_ids=["l1", "l2"],
    )
    accept, complete, fail = _receive(session, report=report)
    assert accept == Accept([("run-l1", "l1"), ("run-l2", "l2")])
    assert complete == Complete([("run-l2", "l2", b"1")], [_attempt("l2")])
    assert isinstance(fail, Fail)
    assert (fail.run_id, fail.lease_id, fail.verdict, fail.rejected) == ("run-l3", "l3", None, False)
    assert fail.attempt == _attempt("l3")


def test_more_time_is_asked_for_by_lease() -> None:
    """Also for an attempt that another dispatcher delivered."""
    item = dispatch_pb2.TimeoutRefresh(lease_id="l9", run_id="run-l9", execution_timeout_ms=250)
    assert _receive(_open(), report=dispatch_pb2.Report(refreshed=[item])) == [Refresh([("run-l9", "l9", 250)])]


def test_slots_are_released_by_lease() -> None:
    """Also those of an attempt that another dispatcher delivered; the session goes on as before."""
    session = _open("l1")
    items = [dispatch_pb2.SlotRelease(lease_id=lease, run_id=f"run-{lease}") for lease in ("l1", "l9")]
    effects = _receive(session, report=dispatch_pb2.Report(released_slots=items, completed=[_completed("l1")]))
    assert effects == [
        ReleaseSlots([("run-l1", "l1"), ("run-l9", "l9")]),
        Complete([("run-l1", "l1", b"1")], [_attempt("l1")]),
    ]


def test_labels_replace_those_said_before() -> None:
    """All of them, also where there are none any more."""
    session = _open()
    assert _receive(session, labels=dispatch_pb2.Labels(labels={"model": "a"})) == [Relabel({"model": "a"})]
    assert _receive(session, labels=dispatch_pb2.Labels()) == [Relabel({})]


@pytest.mark.parametrize("labels", [{str(i): "x" for i in range(101)}, {"zone": "x" * 201}, {"x" * 201: "zone"}])
def test_labels_have_the_limits_of_hello(labels: dict[str, str]) -> None:
    """The message names its field."""
    with pytest.raises(InvalidField, match=r"labels\.labels"):
        _receive(_open(), labels=dispatch_pb2.Labels(labels=labels))


@pytest.mark.parametrize("timeout_ms", [0, 367 * 24 * 3600 * 1000])
def test_more_time_has_to_be_a_length_of_time(timeout_ms: int) -> None:
    """1 ms to 366 days."""
    item = dispatch_pb2.TimeoutRefresh(lease_id="l1", run_id="run-l1", execution_timeout_ms=timeout_ms)
    with pytest.raises(ProtocolError, match="execution_timeout_ms"):
        _receive(_open("l1"), report=dispatch_pb2.Report(refreshed=[item]))


def test_an_attempt_is_accepted_once_and_only_if_delivered_here() -> None:
    """Others are known to the store, or lost."""
    session = _open("l1")
    report = dispatch_pb2.Report(accepted_lease_ids=["l1", "l1", "other"])
    assert _receive(session, report=report) == [Accept([("run-l1", "l1")])]
    assert _receive(session, report=report) == []


def test_what_another_dispatcher_delivered_can_end_here() -> None:
    """The report names its run."""
    session = _open()
    failed = dispatch_pb2.Failed(lease_id="l9", run_id="run-l9", failure=run_pb2.Failure(type="E"))
    effects = _receive(session, report=dispatch_pb2.Report(completed=[_completed("l8")], failed=[failed]))
    assert effects[0] == Complete([("run-l8", "l8", b"1")], [None])
    assert isinstance(effects[1], Fail)
    assert effects[1].attempt is None


def test_an_empty_report_does_nothing() -> None:
    """Neither good nor harm."""
    assert _receive(_open("l1"), report=dispatch_pb2.Report()) == []


def test_an_empty_output_is_null() -> None:
    """As the contract says."""
    effects = _receive(_open("l1"), report=dispatch_pb2.Report(completed=[_completed("l1", b"")]))
    assert effects == [Complete([("run-l1", "l1", b"null")], [_attempt("l1")])]


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
    session = _open("l1", "l2")
    report = dispatch_pb2.Report(completed=[_completed("l1", output), _completed("l2")])
    fail, complete = _receive(session, report=report)
    assert isinstance(fail, Fail)
    assert (fail.lease_id, fail.rejected, fail.failure.type, fail.failure.non_retryable) == ("l1", True, type_, True)
    assert complete == Complete([("run-l2", "l2", b"1")], [_attempt("l2")])


def test_the_largest_output_is_taken() -> None:
    """1 MiB to the byte."""
    output = b'"' + b"x" * (MAX_PAYLOAD_BYTES - 2) + b'"'
    (effect,) = _receive(_open("l1"), report=dispatch_pb2.Report(completed=[_completed("l1", output)]))
    assert isinstance(effect, Complete)


def test_long_failures_are_cut() -> None:
    """Of the traceback, the middle goes."""
    failure = run_pb2.Failure(type="T" * 300, message="m" * 20_000, traceback="a" * 20_000 + "b" * 20_000)
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", failure=failure)
    (effect,) = _receive(_open("l1"), report=dispatch_pb2.Report(failed=[failed]))
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
    (effect,) = _receive(_open("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert effect.verdict == verdict
    told = "SIGSEGV" if verdict == "release" else "Crashed"
    assert (effect.failure.type, effect.failure.message) == (told, "exit code -11")


@pytest.mark.parametrize("fields", [{"crash": 7}, {"crash": dispatch_pb2.CRASH_ALONE, "released": True}])
def test_a_crash_that_makes_no_sense_breaks_the_protocol(fields: dict[str, Any]) -> None:
    """A kind that this engine does not know, or one that was handed back besides."""
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", **fields)
    with pytest.raises(ProtocolError, match=r"report\.failed"):
        _receive(_open("l1"), report=dispatch_pb2.Report(failed=[failed]))


def test_base_types_are_cut_and_counted() -> None:
    """The nearest twenty."""
    failure = run_pb2.Failure(type="E", base_types=["T" * 300] + [str(i) for i in range(50)])
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1", failure=failure)
    (effect,) = _receive(_open("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert list(effect.failure.base_types) == ["T" * 200, *(str(i) for i in range(19))]


def test_a_failure_without_a_type_is_an_error() -> None:
    """Whatever a worker leaves out."""
    failed = dispatch_pb2.Failed(lease_id="l1", run_id="run-l1")
    (effect,) = _receive(_open("l1"), report=dispatch_pb2.Report(failed=[failed]))
    assert isinstance(effect, Fail)
    assert effect.failure.type == "Error"


def test_log_lines_are_cut_and_counted() -> None:
    """A worker that floods breaks the protocol."""
    lines = [run_pb2.LogLine(message="x" * (MAX_LOG_MESSAGE_BYTES + 1))]
    log = dispatch_pb2.TaskLog(run_id="r", lease_id="l1", lines=lines)
    (effect,) = _receive(_open("l1"), logs=dispatch_pb2.Logs(logs=[log]))
    assert isinstance(effect, KeepLogs)
    assert len(effect.logs[0].lines[0].message) == MAX_LOG_MESSAGE_BYTES
    flood = dispatch_pb2.TaskLog(lines=[run_pb2.LogLine()] * 10_001)
    with pytest.raises(ProtocolError, match="log lines"):
        _receive(_open(), logs=dispatch_pb2.Logs(logs=[flood]))


def test_progress_has_limits() -> None:
    """Its message is cut; what is no number is left out."""
    words = [run_pb2.Progress(done=1, total=2, message="x" * 2_000), run_pb2.Progress(done=math.nan)]
    words.append(run_pb2.Progress(done=1, total=math.inf))
    told = [dispatch_pb2.TaskProgress(run_id="r", lease_id="l1", progress=each) for each in words]
    (effect,) = _receive(_open("l1"), progresses=dispatch_pb2.Progresses(progresses=told))
    assert isinstance(effect, KeepProgress)
    (kept,) = effect.progresses
    assert (kept.progress.done, kept.progress.total, kept.progress.message) == (1, 2, "x" * 1_000)


def test_a_worker_is_deaf_when_its_oldest_assignment_is_not_accepted() -> None:
    """Accepting it moves the deadline to the next one's."""
    session = _open("l1")
    session.deliver([_attempt("l2")], now=102.0)
    assert session.next_deadline() == 105.0
    _receive(session, report=dispatch_pb2.Report(accepted_lease_ids=["l1"]))
    assert session.next_deadline() == 107.0
    assert [attempt.lease_id for attempt in session.unaccepted()] == ["l2"]
    _receive(session, report=dispatch_pb2.Report(completed=[_completed("l2")]))
    assert session.next_deadline() is None
    assert session.unaccepted() == []


def test_a_forgotten_attempt_makes_nobody_deaf() -> None:
    """Its lease was lost."""
    session = _open("l1")
    session.forget("l1")
    session.forget("l1")
    assert session.next_deadline() is None


def test_an_assignment_tells_the_worker_all() -> None:
    """The spec as the caller sent it, and what the policy allows: the run's own, else the definition's."""
    spec = run_pb2.RunSpec(workflow_name="a", input_json=b"{}", retry=workflow_pb2.RetryPolicy(max_attempts=4))
    attempt = Attempt("run", "lease", 2, "default|default|a", "v1", 5, 9, None, True, [], 0)
    message = to_assignment(attempt, spec.SerializeToString(), [], None)
    assert (message.run_id, message.lease_id, message.attempt, message.max_attempts) == ("run", "lease", 2, 4)
    assert (message.task_name, message.execution_timeout_ms, message.created_at_ms) == ("a", 9, 5)
    assert message.cancel_requested
    assert message.spec == spec
    assert not message.isolated
    assert message.soft_timeout_ms == 0
    attempt.isolated = True
    task = workflow_pb2.TaskDefinition(name="a", soft_timeout_ms=7)
    definition = check_definition(workflow_pb2.WorkflowDefinition(name="a", tasks=[task]), "w")
    message = to_assignment(attempt, spec.SerializeToString(), [], definition)
    assert (message.isolated, message.soft_timeout_ms) == (True, 7)


@pytest.mark.parametrize(
    "message",
    [
        {"heartbeat": dispatch_pb2.Heartbeat(lease_ids=[""] * 120_001)},
        {"report": dispatch_pb2.Report(accepted_lease_ids=[""] * 120_001)},
        {"report": dispatch_pb2.Report(completed=[dispatch_pb2.Completed()] * 30_001)},
        {"report": dispatch_pb2.Report(failed=[dispatch_pb2.Failed()] * 30_001)},
        {"logs": dispatch_pb2.Logs(logs=[dispatch_pb2.TaskLog()] * 10_001)},
        {"progresses": dispatch_pb2.Progresses(progresses=[dispatch_pb2.TaskProgress()] * 120_001)},
    ],
)
def test_many_small_things_at_once_are_refused(message: dict[str, Any]) -> None:
    """A million empty ones go into a message, and take up hundreds of megabytes here, or stop the store."""
    session = _open()
    with pytest.raises(ProtocolError, match="expected at most"):
        _receive(session, **message)


def test_as_many_leases_as_a_worker_may_hold_are_taken() -> None:
    """In a Hello, too."""
    leases = ["0" * 32] * MAX_SLOTS
    (effect,) = _receive(_open(), heartbeat=dispatch_pb2.Heartbeat(lease_ids=leases))
    assert effect == Beat(0, leases)
    (effect,) = _receive(WorkerSession(5), hello=_hello(held_lease_ids=leases))
    assert isinstance(effect, Enrol)
    with pytest.raises(InvalidField, match="held_lease_ids"):
        _receive(WorkerSession(5), hello=_hello(held_lease_ids=[""] * 120_001))


def test_all_of_a_log_line_has_limits() -> None:
    """Its level and its ids as well as its text."""
    line = run_pb2.LogLine(level="x" * 100_000, trace_id="0" * 100_000, span_id="0" * 100_000, message="m")
    (effect,) = _receive(_open(), logs=dispatch_pb2.Logs(logs=[dispatch_pb2.TaskLog(lines=[line])]))
    assert isinstance(effect, KeepLogs)
    assert effect.logs[0].ByteSize() < 300
