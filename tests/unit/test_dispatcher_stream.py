"""How a dispatcher's stream makes messages of what it is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from windlass.v1 import dispatch_pb2, run_pb2, workflow_pb2
from windlass.v1.dispatch_service_pb2 import ConnectRequest
from windlass_core.domain.errors import SessionReplaced
from windlass_core.settings import DispatcherSettings
from windlass_core.store.scripts import pack
from windlass_dispatcher.attempt import Attempt, to_assignment, to_attempt
from windlass_dispatcher.dispatcher import Dispatcher
from windlass_dispatcher.session import Beat, WorkerSession
from windlass_dispatcher.stream import Stream

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard
    from windlass_core.store.workers import Enrolled, Enrolment

_MOST_BYTES = 4 * 1024 * 1024


def _stream(most_bytes: int = _MOST_BYTES) -> Stream:
    return Stream(cast("Any", None), WorkerSession(5.0), "session", "default", most_bytes)


def _attempt(
    lease: str = "lease", *, number: int = 1, spec: bytes | int = b"", failures: list[bytes] | None = None
) -> Attempt:
    flow = b"default|default|t"
    return to_attempt([b"run", lease.encode(), number, flow, b"v", 1, 0, spec, False, failures or [], b""])


async def test_assignments_with_long_histories_are_split_by_bytes() -> None:
    """The failures count as the inputs do."""
    stream = _stream(most_bytes=100 * _MOST_BYTES)
    failure = pack((1, b"worker", 1, 2, run_pb2.Failure(message="x" * 16_000).SerializeToString(), 0, False))
    stream.assign([_attempt(str(i), failures=[failure] * 3) for i in range(200)])
    portions = []
    while stream._out:
        portions.append(stream._take_attempts())
    assert [a.lease_id for portion in portions for a in portion] == [str(i) for i in range(200)]
    for portion in portions:
        messages = [to_assignment(a, b"", a.failures or [], None) for a in portion]
        assert dispatch_pb2.Assignments(assignments=messages).ByteSize() < _MOST_BYTES
    assert stream.work_bytes == 0


async def test_past_its_bytes_work_waits_without_what_the_store_has_too() -> None:
    """Whatever its size, and in its order."""
    stream = _stream(most_bytes=100_000)
    stream.assign([_attempt(str(i), number=2, spec=b"x" * 4096, failures=[b"y" * 50_000]) for i in range(1000)])
    assert stream.work_bytes < 100_000 + 1000 * 400
    assert [a.lease_id for a in stream.unaccepted()] == [str(i) for i in range(1000)]
    kept, left = stream.unaccepted()[0], stream.unaccepted()[-1]
    assert (kept.spec, kept.failures) == (b"x" * 4096, [b"y" * 50_000])
    assert (left.spec, left.spec_bytes, left.failures) == (None, 4096, None)


async def test_a_worker_that_asks_and_does_not_read_is_cut_off() -> None:
    """What it asked for would gather without end."""
    stream = _stream(most_bytes=100_000)
    answer = dispatch_pb2.HeartbeatAnswer(sequence=1, lost_lease_ids=["0" * 32])
    asked = 0
    while not stream.is_ending:
        stream.send(heartbeat_answer=answer)
        asked += 1
    assert asked < 100_000 / 32
    acknowledged = _stream(most_bytes=100_000)
    for _ in range(100_000 // 40 + 200):
        acknowledged.acknowledge(dispatch_pb2.Ack(lease_id="0" * 32))
    assert acknowledged.is_ending
    acknowledged._send_acks()


async def test_a_stream_that_ends_takes_nothing_more() -> None:
    """Its worker may never read the end: what came later would gather for ever."""
    stream = _stream()
    stream.send(goodbye=dispatch_pb2.Goodbye())
    stream.end(SessionReplaced("gone"))
    stream.send(goodbye=dispatch_pb2.Goodbye())
    stream.assign([_attempt()])
    assert len(stream._out) == 1
    assert stream.is_ending


async def test_what_the_inbox_has_before_the_welcome_comes_after_it_in_order(shard: Shard) -> None:
    """A cancel that overtook its assignment would be told of nothing that the worker knows."""
    dispatcher = Dispatcher(DispatcherSettings(store_url=shard.url))
    stream = _stream()
    workflow = workflow_pb2.WorkflowDefinition(name="t", tasks=[workflow_pb2.TaskDefinition(name="t")])
    worker = b"worker-0123456789"
    hello = dispatch_pb2.Hello(worker_id=worker.decode(), slots=1, workflows=[workflow])
    (enrol,) = stream.session.receive(ConnectRequest(hello=hello))
    enrolling = dispatcher.shard.workers.hello

    async def hear_meanwhile(enrolment: Enrolment) -> Enrolled | None:
        enrolled = await enrolling(enrolment)
        attempt = [b"run", b"lease", 1, b"default|default|t", b"v", 1, 0, b"", False, [], b""]
        dispatcher._open([b"assign", worker, b"session", [attempt]])
        dispatcher._open([b"cancel", worker, b"session", [b"lease"], b"why"])
        return enrolled

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatcher.shard.workers, "hello", hear_meanwhile)
            await dispatcher.carry_out(stream, enrol)
    finally:
        await dispatcher.shard.close()
    kinds = ["assignment" if isinstance(item, Attempt) else next(iter(item[0])) for item in stream._out]
    assert kinds == ["welcome", "assignment", "cancel"]


async def test_a_lease_that_was_lost_is_forgotten(shard: Shard) -> None:
    """Its worker stops it without a word: it would stay here as long as the stream."""
    dispatcher = Dispatcher(DispatcherSettings(store_url=shard.url))
    stream = _stream()
    workflow = workflow_pb2.WorkflowDefinition(name="t", tasks=[workflow_pb2.TaskDefinition(name="t")])
    hello = dispatch_pb2.Hello(worker_id="worker-0123456789", slots=1, workflows=[workflow])
    try:
        for effect in stream.session.receive(ConnectRequest(hello=hello)):
            await dispatcher.carry_out(stream, effect)
        stream.session.deliver([_attempt()], 0.0)
        await dispatcher._beat_workers([(stream, Beat(1, ["lease"]))])
    finally:
        await dispatcher.shard.close()
    assert not stream.session.unaccepted()
    assert not stream.session._attempts


async def test_a_worker_that_is_not_listened_to_is_not_deaf() -> None:
    """While there is no room for what it says its accepts lie unread."""
    stream = _stream()
    stream.session.deliver([_attempt()], now=0.0)
    stream._held_up = True
    now = asyncio.get_running_loop().time()
    stream._check_deaf(now, confirming=True)
    assert not stream.deaf
    assert not stream.is_ending
    assert stream._deaf_timer is not None
    stream._deaf_timer.cancel()
    stream._held_up = False
    stream._check_deaf(now, confirming=True)
    assert stream.deaf
    assert stream.is_ending
