"""What a worker's session does with chunks of streams: numbered, sent again until they are settled, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.worker_session import Peer
from windlass.v1 import dispatch_pb2
from windlass.v1.run_pb2 import StreamChunk
from windlass.worker.effects import Settled
from windlass.worker.outbox import MESSAGE_BYTES
from windlass.worker.outcome import PutChunk
from windlass.worker.outgoing_stream import chunk_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.v1 import dispatch_service_pb2
    from windlass.worker.effects import Effect


def _put(peer: Peer, lease: str, *texts: str) -> None:
    for text in texts:
        peer.session.chunk(PutChunk(lease, f"run-{lease}", StreamChunk(text=text)))


def _settle(peer: Peer, lease: str, up_to: int, *, refused: bool = False) -> list[Effect]:
    ack = dispatch_pb2.ChunksAck(lease_id=lease, next=up_to, refused=refused)
    return peer.receive(acks=dispatch_pb2.Acks(chunks=[ack]))


def _sent(requests: Iterable[dispatch_service_pb2.ConnectRequest]) -> list[tuple[str, int, list[str]]]:
    return [
        (put.lease_id, put.first, [chunk.text for chunk in put.chunks])
        for request in requests
        for put in request.chunks.chunks
    ]


def _size(*texts: str) -> int:
    return sum(chunk_bytes(StreamChunk(text=text)) for text in texts)


def test_chunks_are_numbered_and_go_before_the_outcome() -> None:
    """Each attempt's from 0."""
    peer = Peer.connected()
    peer.assign("a", "b")
    _put(peer, "a", "1", "2")
    _put(peer, "b", "x")
    assert _sent(peer.session.outgoing()) == [("a", 0, ["1", "2"]), ("b", 0, ["x"])]
    _put(peer, "a", "3")
    peer.complete("a")
    chunks, report = peer.session.outgoing()
    assert _sent([chunks]) == [("a", 2, ["3"])]
    assert report.report.completed[0].lease_id == "a"


def test_what_is_settled_makes_room() -> None:
    """In bytes, as they were counted when they were put."""
    peer = Peer.connected()
    peer.assign("a")
    _put(peer, "a", "1", "22", "333")
    assert _settle(peer, "a", 2) == [Settled("a", _size("1", "22"), refused=False)]
    assert _settle(peer, "a", 2) == [Settled("a", 0, refused=False)]
    assert _settle(peer, "a", 3, refused=True) == [Settled("a", _size("333"), refused=True)]


def test_what_is_not_settled_is_sent_again_on_the_next_stream() -> None:
    """Under the numbers that it had, with what was put meanwhile; of an attempt that has ended too."""
    peer = Peer.connected()
    peer.assign("a", "b")
    _put(peer, "a", "1", "2", "3")
    _put(peer, "b", "x")
    peer.complete("b")
    peer.session.outgoing()
    _settle(peer, "a", 1)
    peer.session.disconnect()
    _put(peer, "a", "4")
    peer.session.connect()
    peer.welcome()
    *chunks, report = peer.session.outgoing()
    assert _sent(chunks) == [("a", 1, ["2", "3", "4"]), ("b", 0, ["x"])]
    assert report.report.completed[0].lease_id == "b"


def test_what_is_over_is_forgotten() -> None:
    """A lease that was lost, and one whose outcome is recorded; what comes after is dropped."""
    peer = Peer.connected()
    peer.assign("a", "b")
    _put(peer, "a", "1")
    _put(peer, "b", "x")
    peer.complete("a")
    peer.session.outgoing()
    peer.ack("a")
    _put(peer, "a", "2")
    peer.session.disconnect()
    peer.session.connect()
    peer.welcome(lost=["b"])
    assert _sent(peer.session.outgoing()) == []
    assert not peer.session._streams


def test_much_is_split_over_messages() -> None:
    """Of 4 MiB and 10,000 chunks at the most."""
    peer = Peer.connected()
    leases = [f"{number:03}" for number in range(100)]
    peer.assign(*leases)
    for lease in leases:
        _put(peer, lease, "x" * 60_000, *["y"] * 500)
    requests = peer.session.outgoing()
    assert all(request.ByteSize() < 2 * MESSAGE_BYTES for request in requests)
    assert all(sum(len(put.chunks) for put in request.chunks.chunks) <= 10_000 for request in requests)
    assert sum(len(texts) for _lease, _first, texts in _sent(requests)) == 100 * 501
