"""The engine's half of the worker protocol, without I/O."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.dispatcher_session import WORKER, attempt, completed, hello, opened, receive
from windlass.v1 import dispatch_pb2, run_pb2, workflow_pb2
from windlass_core.domain.definition import check_definition
from windlass_core.domain.errors import InvalidField, ProtocolError
from windlass_core.domain.limits import MAX_LOG_MESSAGE_BYTES, MAX_SLOTS
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


def test_hello_comes_first() -> None:
    """It enrols the worker."""
    session = WorkerSession(5)
    (effect,) = receive(session, hello=hello())
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
        receive(WorkerSession(5), **message)


def test_hello_comes_once() -> None:
    """A second one breaks the protocol."""
    with pytest.raises(ProtocolError, match="only once"):
        receive(opened(), hello=hello())


def test_an_empty_message_breaks_the_protocol() -> None:
    """After Hello, too: a newer worker may know kinds that this engine does not."""
    with pytest.raises(ProtocolError, match="got none"):
        receive(opened())


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
        receive(session, hello=hello(**fields))
    assert raised.value.field == field
    assert not session.worker_id


def test_a_draining_worker_says_so_in_hello_or_later() -> None:
    """Both are remembered."""
    session = WorkerSession(5)
    receive(session, hello=hello(draining=True))
    assert session.draining
    other = opened()
    assert receive(other, draining=dispatch_pb2.Draining()) == [Drain()]
    assert other.draining


def test_heartbeats_carry_their_leases() -> None:
    """And their number, which the answer echoes."""
    beat = dispatch_pb2.Heartbeat(sequence=7, lease_ids=["l1", "l2"])
    assert receive(opened(), heartbeat=beat) == [Beat(7, ["l1", "l2"])]


def test_a_report_is_carried_out_in_the_order_of_a_life() -> None:
    """First what is accepted, then what completed, then what failed."""
    session = opened("l1", "l2", "l3")
    report = dispatch_pb2.Report(
        failed=[dispatch_pb2.Failed(lease_id="l3", run_id="run-l3", failure=run_pb2.Failure(type="E"))],
        completed=[completed("l2")],
        accepted_lease_ids=["l1", "l2"],
    )
    accept, complete, fail = receive(session, report=report)
    assert accept == Accept([("run-l1", "l1"), ("run-l2", "l2")])
    assert complete == Complete([("run-l2", "l2", b"1")], [attempt("l2")])
    assert isinstance(fail, Fail)
    assert (fail.run_id, fail.lease_id, fail.verdict, fail.rejected) == ("run-l3", "l3", None, False)
    assert fail.attempt == attempt("l3")


def test_more_time_is_asked_for_by_lease() -> None:
    """Also for an attempt that another dispatcher delivered."""
    item = dispatch_pb2.TimeoutRefresh(lease_id="l9", run_id="run-l9", execution_timeout_ms=250)
    assert receive(opened(), report=dispatch_pb2.Report(refreshed=[item])) == [Refresh([("run-l9", "l9", 250)])]


def test_slots_are_released_by_lease() -> None:
    """Also those of an attempt that another dispatcher delivered; the session goes on as before."""
    session = opened("l1")
    items = [dispatch_pb2.SlotRelease(lease_id=lease, run_id=f"run-{lease}") for lease in ("l1", "l9")]
    effects = receive(session, report=dispatch_pb2.Report(released_slots=items, completed=[completed("l1")]))
    assert effects == [
        ReleaseSlots([("run-l1", "l1"), ("run-l9", "l9")]),
        Complete([("run-l1", "l1", b"1")], [attempt("l1")]),
    ]


def test_labels_replace_those_said_before() -> None:
    """All of them, also where there are none any more."""
    session = opened()
    assert receive(session, labels=dispatch_pb2.Labels(labels={"model": "a"})) == [Relabel({"model": "a"})]
    assert receive(session, labels=dispatch_pb2.Labels()) == [Relabel({})]


@pytest.mark.parametrize("labels", [{str(i): "x" for i in range(101)}, {"zone": "x" * 201}, {"x" * 201: "zone"}])
def test_labels_have_the_limits_of_hello(labels: dict[str, str]) -> None:
    """The message names its field."""
    with pytest.raises(InvalidField, match=r"labels\.labels"):
        receive(opened(), labels=dispatch_pb2.Labels(labels=labels))


@pytest.mark.parametrize("timeout_ms", [0, 367 * 24 * 3600 * 1000])
def test_more_time_has_to_be_a_length_of_time(timeout_ms: int) -> None:
    """1 ms to 366 days."""
    item = dispatch_pb2.TimeoutRefresh(lease_id="l1", run_id="run-l1", execution_timeout_ms=timeout_ms)
    with pytest.raises(ProtocolError, match="execution_timeout_ms"):
        receive(opened("l1"), report=dispatch_pb2.Report(refreshed=[item]))


def test_log_lines_are_cut_and_counted() -> None:
    """A worker that floods breaks the protocol."""
    lines = [run_pb2.LogLine(message="x" * (MAX_LOG_MESSAGE_BYTES + 1))]
    log = dispatch_pb2.TaskLog(run_id="r", lease_id="l1", lines=lines)
    (effect,) = receive(opened("l1"), logs=dispatch_pb2.Logs(logs=[log]))
    assert isinstance(effect, KeepLogs)
    assert len(effect.logs[0].lines[0].message) == MAX_LOG_MESSAGE_BYTES
    flood = dispatch_pb2.TaskLog(lines=[run_pb2.LogLine()] * 10_001)
    with pytest.raises(ProtocolError, match="log lines"):
        receive(opened(), logs=dispatch_pb2.Logs(logs=[flood]))


def test_progress_has_limits() -> None:
    """Its message is cut; what is no number is left out."""
    words = [run_pb2.Progress(done=1, total=2, message="x" * 2_000), run_pb2.Progress(done=math.nan)]
    words.append(run_pb2.Progress(done=1, total=math.inf))
    told = [dispatch_pb2.TaskProgress(run_id="r", lease_id="l1", progress=each) for each in words]
    (effect,) = receive(opened("l1"), progresses=dispatch_pb2.Progresses(progresses=told))
    assert isinstance(effect, KeepProgress)
    (kept,) = effect.progresses
    assert (kept.progress.done, kept.progress.total, kept.progress.message) == (1, 2, "x" * 1_000)


def test_a_worker_is_deaf_when_its_oldest_assignment_is_not_accepted() -> None:
    """Accepting it moves the deadline to the next one's."""
    session = opened("l1")
    session.deliver([attempt("l2")], now=102.0)
    assert session.next_deadline() == 105.0
    receive(session, report=dispatch_pb2.Report(accepted_lease_ids=["l1"]))
    assert session.next_deadline() == 107.0
    assert [attempt.lease_id for attempt in session.unaccepted()] == ["l2"]
    receive(session, report=dispatch_pb2.Report(completed=[completed("l2")]))
    assert session.next_deadline() is None
    assert session.unaccepted() == []


def test_a_forgotten_attempt_makes_nobody_deaf() -> None:
    """Its lease was lost."""
    session = opened("l1")
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
    session = opened()
    with pytest.raises(ProtocolError, match="expected at most"):
        receive(session, **message)


def test_as_many_leases_as_a_worker_may_hold_are_taken() -> None:
    """In a Hello, too."""
    leases = ["0" * 32] * MAX_SLOTS
    (effect,) = receive(opened(), heartbeat=dispatch_pb2.Heartbeat(lease_ids=leases))
    assert effect == Beat(0, leases)
    (effect,) = receive(WorkerSession(5), hello=hello(held_lease_ids=leases))
    assert isinstance(effect, Enrol)
    with pytest.raises(InvalidField, match="held_lease_ids"):
        receive(WorkerSession(5), hello=hello(held_lease_ids=[""] * 120_001))


def test_all_of_a_log_line_has_limits() -> None:
    """Its level and its ids as well as its text."""
    line = run_pb2.LogLine(level="x" * 100_000, trace_id="0" * 100_000, span_id="0" * 100_000, message="m")
    (effect,) = receive(opened(), logs=dispatch_pb2.Logs(logs=[dispatch_pb2.TaskLog(lines=[line])]))
    assert isinstance(effect, KeepLogs)
    assert effect.logs[0].ByteSize() < 300
