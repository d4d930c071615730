"""How a dispatcher's stream makes messages of what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from windlass.v1 import dispatch_pb2, run_pb2, workflow_pb2
from windlass.v1.dispatch_service_pb2 import ConnectRequest
from windlass_core.domain.errors import SessionReplaced
from windlass_core.settings import DispatcherSettings
from windlass_dispatcher.attempt import to_attempt
from windlass_dispatcher.dispatcher import Dispatcher
from windlass_dispatcher.session import Beat, WorkerSession
from windlass_dispatcher.stream import Response, Stream

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard
    from windlass_core.store.workers import Enrolled, Enrolment

_MOST_BYTES = 4 * 1024 * 1024


async def test_assignments_with_long_histories_are_split_by_bytes() -> None:
    """The failures count as the inputs do."""
    stream = Stream(cast("Any", None), WorkerSession(5.0), "session", "default")
    failures = [run_pb2.Failure(message="x" * 16_000)] * 3
    stream.assign([], [dispatch_pb2.Assignment(lease_id=str(i), failures=failures) for i in range(200)])
    stream._seal_assignments()
    messages = [Response(**message) for message in stream._out]
    assert all(message.ByteSize() < _MOST_BYTES for message in messages)
    assert [a.lease_id for m in messages for a in m.assignments.assignments] == [str(i) for i in range(200)]


async def test_a_stream_that_ends_takes_nothing_more() -> None:
    """Its worker may never read the end: what came later would gather for ever."""
    stream = Stream(cast("Any", None), WorkerSession(5.0), "session", "default")
    stream.send(goodbye=dispatch_pb2.Goodbye())
    stream.end(SessionReplaced("gone"))
    stream.send(goodbye=dispatch_pb2.Goodbye())
    stream.assign([], [dispatch_pb2.Assignment()])
    stream._seal_assignments()
    assert len(stream._out) == 1
    assert stream.is_ending


async def test_what_the_inbox_has_before_the_welcome_comes_after_it_in_order(shard: Shard) -> None:
    """A cancel that overtook its assignment would be told of nothing that the worker knows."""
    dispatcher = Dispatcher(DispatcherSettings(store_url=shard.url))
    stream = Stream(cast("Any", None), WorkerSession(5.0), "session", "default")
    workflow = workflow_pb2.WorkflowDefinition(name="t", tasks=[workflow_pb2.TaskDefinition(name="t")])
    worker = b"worker-0123456789"
    hello = dispatch_pb2.Hello(worker_id=worker.decode(), slots=1, workflows=[workflow])
    (enrol,) = stream.session.receive(ConnectRequest(hello=hello))
    enrolling = dispatcher.shard.workers.hello

    async def hear_meanwhile(enrolment: Enrolment) -> Enrolled | None:
        enrolled = await enrolling(enrolment)
        attempt = [b"run", b"lease", 1, b"default|default|t", b"v", 1, 0, b"", False, [], b""]
        await dispatcher._open([b"assign", worker, b"session", [attempt]])
        await dispatcher._open([b"cancel", worker, b"session", [b"lease"], b"why"])
        return enrolled

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatcher.shard.workers, "hello", hear_meanwhile)
            await dispatcher.carry_out(stream, enrol)
    finally:
        await dispatcher.shard.close()
    assert [next(iter(message)) for message in stream._out] == ["welcome", "assignments", "cancel"]


async def test_a_lease_that_was_lost_is_forgotten(shard: Shard) -> None:
    """Its worker stops it without a word: it would stay here as long as the stream."""
    dispatcher = Dispatcher(DispatcherSettings(store_url=shard.url))
    stream = Stream(cast("Any", None), WorkerSession(5.0), "session", "default")
    workflow = workflow_pb2.WorkflowDefinition(name="t", tasks=[workflow_pb2.TaskDefinition(name="t")])
    hello = dispatch_pb2.Hello(worker_id="worker-0123456789", slots=1, workflows=[workflow])
    try:
        for effect in stream.session.receive(ConnectRequest(hello=hello)):
            await dispatcher.carry_out(stream, effect)
        attempt = to_attempt([b"run", b"lease", 1, b"default|default|t", b"v", 1, 0, b"", False, [], b""])
        stream.session.deliver([attempt], 0.0)
        await dispatcher._beat_workers([(stream, Beat(1, ["lease"]))])
    finally:
        await dispatcher.shard.close()
    assert not stream.session.unaccepted()
    assert not stream.session._attempts
