"""Chunks of streams on their way through a dispatcher: taken as they are, and always answered."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from windlass.v1 import dispatch_pb2, dispatch_service_pb2, run_pb2, workflow_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import ProtocolError
from windlass_core.domain.limits import MAX_CHUNK_BYTES
from windlass_core.pump import Hold
from windlass_dispatcher.reports import Reports
from windlass_dispatcher.session import KeepChunks, WorkerSession
from windlass_dispatcher.stream import Stream

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard

_NO_CONTEXT = cast("Any", None)


def _put(*chunks: run_pb2.StreamChunk, first: int = 0) -> dispatch_pb2.TaskChunks:
    return dispatch_pb2.TaskChunks(run_id="r", lease_id="l1", first=first, chunks=chunks)


def _receive(put: dispatch_pb2.TaskChunks) -> list[Any]:
    session = WorkerSession(accept_timeout_s=5)
    workflow = workflow_pb2.WorkflowDefinition(name="t")
    hello = dispatch_pb2.Hello(worker_id="w" * 16, slots=1, workflows=[workflow])
    session.receive(dispatch_service_pb2.ConnectRequest(hello=hello))
    return list(session.receive(dispatch_service_pb2.ConnectRequest(chunks=dispatch_pb2.Chunks(chunks=[put]))))


def test_chunks_are_taken_as_they_are() -> None:
    """Text, bytes, and nothing at all of either kind."""
    put = _put(run_pb2.StreamChunk(text="a"), run_pb2.StreamChunk(binary=b"\xff"), run_pb2.StreamChunk(text=""))
    assert _receive(put) == [KeepChunks([put])]


@pytest.mark.parametrize(
    ("chunks", "what"),
    [
        ([run_pb2.StreamChunk(text="é" * (MAX_CHUNK_BYTES // 2 + 1))], "at most 65536 bytes in each"),
        ([run_pb2.StreamChunk(binary=b"x" * (MAX_CHUNK_BYTES + 1))], "at most 65536 bytes in each"),
        ([run_pb2.StreamChunk(attempt=1)], "text or binary"),
        ([run_pb2.StreamChunk(text="a")] * 10_001, "chunks: expected at most 10000"),
    ],
)
def test_chunks_have_limits(chunks: list[run_pb2.StreamChunk], what: str) -> None:
    """A worker that is over them breaks the protocol: data is not cut."""
    with pytest.raises(ProtocolError, match=what):
        _receive(_put(*chunks))


async def test_a_full_store_cuts_streams_off_and_says_so(shard: Shard) -> None:
    """Whoever waits for an attempt's words waits no longer: outcomes are what makes room."""
    stream = Stream(_NO_CONTEXT, WorkerSession(accept_timeout_s=5), "s1", "default", 1024)
    reports = Reports(shard, DefinitionCache(shard.definitions), Hold(1024 * 1024))
    await shard.redis.config_set("maxmemory", 1)
    pumps = [asyncio.create_task(loop()) for loop in reports.loops()]
    try:
        reports.take(stream, KeepChunks([_put(run_pb2.StreamChunk(text="a"), run_pb2.StreamChunk(text="b"), first=3)]))
        async with asyncio.timeout(10):
            await reports.drained()
        assert stream._chunk_acks == [dispatch_pb2.ChunksAck(lease_id="l1", next=5, refused=True)]
        assert not reports._talking
    finally:
        await shard.redis.config_set("maxmemory", 0)
        for pump in pumps:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump


async def test_chunks_of_a_lease_that_is_nobodys_are_settled(shard: Shard) -> None:
    """Their worker need not keep them, and no task is to be told."""
    stream = Stream(_NO_CONTEXT, WorkerSession(accept_timeout_s=5), "s1", "default", 1024)
    reports = Reports(shard, DefinitionCache(shard.definitions), Hold(1024 * 1024))
    pumps = [asyncio.create_task(loop()) for loop in reports.loops()]
    reports.take(stream, KeepChunks([_put(run_pb2.StreamChunk(text="a"))]))
    async with asyncio.timeout(10):
        await reports.drained()
    assert stream._chunk_acks == [dispatch_pb2.ChunksAck(lease_id="l1", next=1)]
    for pump in pumps:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump
