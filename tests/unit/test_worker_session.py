"""The worker's session: what it holds, what it says, and when it gives up."""

from __future__ import annotations

import pytest

from tests.support.worker_session import Peer
from windlass.v1 import dispatch_pb2
from windlass.worker.effects import Cancel, Reconnect, Refused, Start, Stop, Welcomed
from windlass.worker.session import ACCEPT_DELAY, ProtocolError


def test_hello_comes_first_and_the_welcome_opens_the_session() -> None:
    """Nothing is sent between Hello and Welcome."""
    peer = Peer()
    hello = peer.session.connect().hello
    assert hello.name == "w"
    assert list(hello.held_lease_ids) == []
    assert peer.session.outgoing() == []
    assert peer.welcome() == [Welcomed(max_payload_bytes=1024)]
    assert peer.session.is_open


def test_a_message_before_the_welcome_breaks_the_protocol() -> None:
    """Neither work before the welcome nor a second welcome is taken."""
    peer = Peer()
    peer.session.connect()
    with pytest.raises(ProtocolError, match="assignments"):
        peer.assign("a")
    peer.welcome()
    with pytest.raises(ProtocolError, match="second welcome"):
        peer.welcome()


def test_a_batch_of_assignments_is_one_effect_in_order() -> None:
    """The batch goes over in one piece."""
    peer = Peer.connected()
    (start,) = peer.assign("a", "b", "c")
    assert isinstance(start, Start)
    assert [assignment.lease_id for assignment in start.assignments] == ["a", "b", "c"]
    assert peer.session.executing == 3


def test_what_ends_soon_is_reported_without_having_been_accepted() -> None:
    """Completed stands for the accept as well."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.complete("a")
    (request,) = peer.session.outgoing()
    assert [entry.lease_id for entry in request.report.completed] == ["a"]
    assert list(request.report.accepted_lease_ids) == []


def test_what_takes_longer_is_accepted() -> None:
    """The accept is due a little after the assignment, and the tick knows when."""
    peer = Peer.connected()
    peer.assign("a", "b")
    assert peer.session.outgoing() == []
    assert peer.session.next_tick_in() == pytest.approx(ACCEPT_DELAY)
    peer.now += ACCEPT_DELAY
    peer.complete("b")
    (request,) = peer.session.outgoing()
    assert list(request.report.accepted_lease_ids) == ["a"]
    assert [entry.lease_id for entry in request.report.completed] == ["b"]
    assert peer.session.outgoing() == []


def test_outcomes_are_kept_until_acknowledged() -> None:
    """Sent once per stream, forgotten only by the ack."""
    peer = Peer.connected()
    peer.assign("a")
    peer.complete("a")
    peer.session.outgoing()
    assert peer.session.outgoing() == []
    assert not peer.session.holds_nothing
    peer.ack("a")
    assert peer.session.holds_nothing


def test_a_reconnect_sends_again_what_was_not_acknowledged() -> None:
    """Hello names what is held; after the welcome the outcome goes out again, and the accept."""
    peer = Peer.connected()
    peer.assign("done", "busy", "acked")
    peer.complete("done", "acked")
    peer.session.outgoing()
    peer.ack("acked")
    peer.session.disconnect()
    assert peer.session.outgoing() == []
    hello = peer.session.connect().hello
    assert set(hello.held_lease_ids) == {"done", "busy"}
    peer.welcome()
    (request,) = peer.session.outgoing()
    assert [entry.lease_id for entry in request.report.completed] == ["done"]
    assert list(request.report.accepted_lease_ids) == ["busy"]


def test_work_that_ends_between_hello_and_welcome_is_reported_once() -> None:
    """It is among the finished and in the outbox; it must not travel twice."""
    peer = Peer.connected()
    peer.assign("a")
    peer.session.disconnect()
    peer.session.connect()
    peer.complete("a")
    peer.welcome()
    (request,) = peer.session.outgoing()
    assert [entry.lease_id for entry in request.report.completed] == ["a"]
    assert list(request.report.accepted_lease_ids) == []


@pytest.mark.parametrize("state", ["executing", "finished", "acknowledged"])
def test_a_lease_that_was_seen_is_not_started_again(state: str) -> None:
    """Re-delivery of what we have, or had, changes nothing."""
    peer = Peer.connected()
    peer.assign("a")
    if state != "executing":
        peer.complete("a")
    if state == "acknowledged":
        peer.ack("a")
    assert peer.assign("a") == []


def test_memory_of_seen_leases_is_bounded_but_never_forgets_what_is_held() -> None:
    """A lease still executing is known however many came after it."""
    peer = Peer.connected()
    peer.session._seen_limit = 3
    peer.assign("old")
    for number in range(5):
        peer.assign(f"l{number}")
        peer.complete(f"l{number}")
        peer.ack(f"l{number}")
    assert len(peer.session._seen) == 3
    assert peer.assign("old") == []


def test_leases_lost_at_the_welcome_are_stopped_and_their_results_dropped() -> None:
    """Neither the running nor the finished one is ours any more."""
    peer = Peer.connected()
    peer.assign("busy", "done", "mine")
    peer.complete("done")
    peer.session.disconnect()
    peer.session.connect()
    effects = peer.welcome(lost=["busy", "done"])
    assert Stop(["busy"], "the lease was lost") in effects
    peer.complete("busy", "mine")
    (request,) = peer.session.outgoing()
    assert [entry.lease_id for entry in request.report.completed] == ["mine"]


def test_leases_lost_in_a_heartbeat_answer_are_stopped() -> None:
    """The dispatcher reconciles what the heartbeat named."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.now += 5
    (heartbeat, *_) = peer.session.outgoing()
    assert list(heartbeat.heartbeat.lease_ids) == ["a", "b"]
    assert peer.answer(heartbeat, lost=["a"]) == [Stop(["a"], "the lease was lost")]
    assert peer.session.executing == 1


def test_a_late_answer_is_told_to_be_refused() -> None:
    """The engine's verdict reaches the log."""
    peer = Peer.connected()
    peer.assign("a")
    peer.complete("a")
    (effect,) = peer.ack("a", outcome=dispatch_pb2.REPORT_OUTCOME_LEASE_LOST)
    assert effect == Refused("run-a", dispatch_pb2.REPORT_OUTCOME_LEASE_LOST)


def test_heartbeats_go_out_at_their_interval_and_count_up() -> None:
    """One per interval, numbered from 1 on each stream."""
    peer = Peer.connected()
    assert peer.session.next_tick_in() == 5
    for sequence in (1, 2):
        peer.now += 5
        (request,) = peer.session.outgoing()
        assert request.heartbeat.sequence == sequence
        assert peer.session.outgoing() == []
        peer.answer(request)
    peer.session.disconnect()
    peer.session.connect()
    peer.welcome()
    peer.now += 5
    (request,) = peer.session.outgoing()
    assert request.heartbeat.sequence == 1


def test_a_silent_stream_is_left_after_one_interval() -> None:
    """There must be time to reconnect before the deadline."""
    peer = Peer.connected()
    peer.now += 5
    peer.session.outgoing()
    assert peer.session.tick() == []
    peer.now += 5
    (effect,) = peer.session.tick()
    assert isinstance(effect, Reconnect)
    assert not effect.elsewhere


def test_attempts_are_stopped_before_the_session_can_expire() -> None:
    """Counted from when the last answered heartbeat was sent, not from when its answer came."""
    peer = Peer.connected()
    peer.assign("a")
    peer.now += 5
    (heartbeat, _) = peer.session.outgoing()
    sent_at = peer.now
    peer.now += 4
    peer.answer(heartbeat)
    peer.session.disconnect()
    assert peer.session.next_tick_in() == pytest.approx(13.5 - 4)
    peer.now = sent_at + 13.4
    assert peer.session.tick() == []
    peer.now = sent_at + 13.5
    (effect,) = peer.session.tick()
    assert isinstance(effect, Stop)
    assert effect.lease_ids == ["a"]
    assert peer.session.tick() == []
    assert peer.session.next_tick_in() is None


def test_an_attempt_stopped_at_the_deadline_is_handed_back_if_its_lease_lives_after_all() -> None:
    """So that nothing hangs when only the answers were lost."""
    peer = Peer.connected()
    peer.assign("a")
    peer.session.disconnect()
    peer.now += 14
    peer.session.tick()
    peer.complete("a")  # it was stopped: this comes too late
    assert list(peer.session.connect().hello.held_lease_ids) == ["a"]
    peer.welcome()
    (request,) = peer.session.outgoing()
    (failed,) = request.report.failed
    assert failed.released
    assert list(request.report.completed) == []


def test_waking_from_a_long_stop_ends_everything_before_anything_else() -> None:
    """After SIGSTOP the first message read may be older than the session: it starts nothing."""
    peer = Peer.connected()
    peer.assign("a")
    peer.now += 60
    effects = peer.assign("b")
    assert effects[0] == Stop(["a"], "the session was about to expire")
    assert isinstance(effects[1], Reconnect)
    assert len(effects) == 2
    peer.session.disconnect()
    peer.session.connect()
    peer.welcome(lost=["a"])
    (start,) = peer.assign("b")
    assert isinstance(start, Start)


def test_cancel_reaches_what_executes_only() -> None:
    """What has ended needs no cancel; the grace is the welcome's."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.complete("b")
    cancel = dispatch_pb2.Cancel(lease_ids=["a", "b", "c"], reason="asked")
    assert peer.receive(cancel=cancel) == [Cancel(["a"], "asked", 1.0)]
    assert peer.receive(cancel=dispatch_pb2.Cancel(lease_ids=["b"])) == []


def test_an_assignment_cancelled_already_is_answered_without_being_started() -> None:
    """It would be a waste."""
    peer = Peer.connected()
    assignment = dispatch_pb2.Assignment(lease_id="a", run_id="run-a", cancel_requested=True)
    assert peer.receive(assignments=dispatch_pb2.Assignments(assignments=[assignment])) == []
    (request,) = peer.session.outgoing()
    assert [(entry.lease_id, entry.released) for entry in request.report.failed] == [("a", False)]


def test_draining_is_told_once_and_new_work_is_handed_back() -> None:
    """Running work goes on."""
    peer = Peer.connected()
    peer.assign("a")
    peer.session.drain()
    assert peer.session.outgoing()[0].HasField("draining")
    assert peer.assign("b") == []
    (request,) = peer.session.outgoing()
    assert [(entry.lease_id, entry.released) for entry in request.report.failed] == [("b", True)]
    assert peer.session.executing == 1
    peer.session.disconnect()
    assert peer.session.connect().hello.draining
    peer.welcome()
    assert not any(request.HasField("draining") for request in peer.session.outgoing())


def test_releasing_hands_back_all_that_executes() -> None:
    """The drain's grace is over; nothing more is held once it is acknowledged."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.complete("a")
    assert peer.session.release("leaving") == [Stop(["b"], "leaving")]
    assert peer.session.release("leaving") == []
    (request,) = peer.session.outgoing()
    assert [entry.lease_id for entry in request.report.completed] == ["a"]
    assert [entry.lease_id for entry in request.report.failed] == ["b"]
    peer.ack("a", "b")
    assert peer.session.holds_nothing


def test_goodbye_sends_us_elsewhere_while_work_goes_on() -> None:
    """The attempts keep running."""
    peer = Peer.connected()
    peer.assign("a")
    assert peer.receive(goodbye=dispatch_pb2.Goodbye(reason="deploy")) == [Reconnect("deploy", elsewhere=True)]
    assert peer.session.executing == 1
