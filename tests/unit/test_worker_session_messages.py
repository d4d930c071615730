"""What a session sends and how much of it in one message: outcomes, log lines, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.worker_session import Peer
from windlass.v1.run_pb2 import LogLine, Progress
from windlass.worker.outbox import LOG_LINES, MESSAGE_BYTES, PROGRESS_EVERY
from windlass.worker.outcome import LoggedLine, ToldProgress

if TYPE_CHECKING:
    from windlass.v1 import dispatch_service_pb2


def test_large_outcomes_are_split_over_several_messages() -> None:
    """No message comes near the limit of 4 MiB."""
    peer = Peer.connected()
    leases = [f"l{number}" for number in range(8)]
    peer.assign(*leases)
    peer.complete(*leases, output=b'"' + b"x" * (1 << 20) + b'"')
    requests = peer.session.outgoing()
    assert all(request.ByteSize() < MESSAGE_BYTES + (1 << 20) + 4096 for request in requests)
    sent = [entry.lease_id for request in requests for entry in request.report.completed]
    assert sent == leases


def test_log_lines_travel_in_batches_before_the_outcome() -> None:
    """Lines of a lease that has ended would be dropped."""
    peer = Peer.connected()
    peer.assign("a", "b")
    for lease, text in (("a", "1"), ("b", "2"), ("a", "3")):
        peer.session.log(LoggedLine(lease, f"run-{lease}", LogLine(message=text)))
    peer.complete("a")
    logs, report = peer.session.outgoing()
    lines = {entry.lease_id: [line.message for line in entry.lines] for entry in logs.logs.logs}
    assert lines == {"a": ["1", "3"], "b": ["2"]}
    assert report.report.completed[0].lease_id == "a"


def _tell(peer: Peer, lease: str, done: float) -> None:
    peer.session.progress(ToldProgress(lease, f"run-{lease}", Progress(done=done)))


def _told(requests: list[dispatch_service_pb2.ConnectRequest]) -> dict[str, float]:
    return {each.lease_id: each.progress.done for request in requests for each in request.progresses.progresses}


def test_of_progress_the_newest_goes_out_a_few_times_a_second() -> None:
    """The first at once; what is said meanwhile is due later, by itself."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.now += 1
    peer.session.outgoing()  # what is due besides
    _tell(peer, "a", 1)
    _tell(peer, "a", 2)
    assert _told(peer.session.outgoing()) == {"a": 2}
    for done in (3, 4):
        _tell(peer, "a", done)
    _tell(peer, "b", 9)
    peer.now += PROGRESS_EVERY / 2
    assert peer.session.outgoing() == []
    assert peer.session.next_tick_in() == PROGRESS_EVERY / 2
    peer.now += PROGRESS_EVERY / 2
    assert _told(peer.session.outgoing()) == {"a": 4, "b": 9}
    assert peer.session.outgoing() == []


def test_the_last_progress_goes_before_the_outcome() -> None:
    """Also right after an earlier one; another attempt's waits for its time."""
    peer = Peer.connected()
    peer.assign("a", "b")
    _tell(peer, "a", 1)
    peer.session.outgoing()
    _tell(peer, "a", 2)
    _tell(peer, "b", 1)
    peer.complete("a")
    progress, report = peer.session.outgoing()
    assert _told([progress]) == {"a": 2}
    assert report.report.completed[0].lease_id == "a"


def test_progress_waits_for_the_next_stream() -> None:
    """What was sent is not repeated; a lost lease's is dropped, and that of one that has ended."""
    peer = Peer.connected()
    peer.assign("a", "b", "c")
    peer.complete("c")
    peer.session.disconnect()
    for lease in ("a", "b", "c"):
        _tell(peer, lease, 5)
    assert peer.session.outgoing() == []
    peer.session.connect()
    peer.welcome(lost=["b"])
    assert _told(peer.session.outgoing()) == {"a": 5}


def test_much_progress_is_split_over_messages() -> None:
    """A message has 4 MiB at the most."""
    peer = Peer.connected()
    leases = [f"{number:05}" for number in range(1000)]
    peer.assign(*leases)
    for lease in leases:
        peer.session.progress(ToldProgress(lease, f"run-{lease}", Progress(message="\U0001f980" * 1000)))
    requests = peer.session.outgoing()
    assert all(request.ByteSize() < MESSAGE_BYTES + 8192 for request in requests)
    assert _told(requests).keys() == set(leases)


def test_log_lines_are_bounded_while_there_is_no_stream() -> None:
    """The oldest are dropped and counted."""
    peer = Peer.connected()
    peer.session.disconnect()
    for number in range(LOG_LINES + 7):
        peer.session.log(LoggedLine("a", "run-a", LogLine(message=str(number))))
    assert peer.session.take_dropped_log_lines() == 7
    assert peer.session.take_dropped_log_lines() == 0
