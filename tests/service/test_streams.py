"""SubscribeToStream: what a run's attempts put is sent in order, once, and what is missing is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc.aio

from tests.support.raw_client import PATIENCE_S, RawWorker, raw_worker, submission
from windlass.v1 import dispatch_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door


async def _put(worker: RawWorker, work: dispatch_pb2.Assignment, first: int, *texts: str) -> None:
    chunks = [run_pb2.StreamChunk(text=text, attempt=work.attempt) for text in texts]
    put = dispatch_pb2.TaskChunks(run_id=work.run_id, lease_id=work.lease_id, first=first, chunks=chunks)
    await worker.send(chunks=dispatch_pb2.Chunks(chunks=[put]))


async def _settled(worker: RawWorker) -> dispatch_pb2.ChunksAck:
    acks: dispatch_pb2.Acks = await worker.receive("acks")
    (ack,) = acks.chunks
    return ack


def _subscribe(api: Door, run_id: str, offset: int = 0) -> Any:
    return api.runs.SubscribeToStream(run_service_pb2.SubscribeToStreamRequest(run_id=run_id, offset=offset))


async def _rest(stream: Any) -> list[Any]:
    """All that still comes; one call can't be both read and iterated."""
    messages = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


async def test_a_stream_is_sent_as_it_comes(api: Door, dispatcher: Door, task: str) -> None:
    """From the offset asked for, also to who comes late; at last, how the run ended."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (work,) = await worker.assigned()
        early = _subscribe(api, run_id)
        told: list[str] = []
        for number, text in enumerate(("one", "two")):
            await _put(worker, work, number, text)
            told += [chunk.text for chunk in (await early.read()).chunks]
        assert told == ["one", "two"]
        late = _subscribe(api, run_id, offset=1)
        first = await late.read()
        assert ([chunk.text for chunk in first.chunks], first.first_offset, first.next_offset) == (["two"], 1, 2)
        await _put(worker, work, 2, "last")
        await worker.complete(work)
        for stream in (early, late, _subscribe(api, run_id, offset=2)):
            rest = await _rest(stream)
            assert [chunk.text for message in rest for chunk in message.chunks] == ["last"]
            assert [message.ended for message in rest] == [0, run_pb2.RUN_STATUS_COMPLETED]


async def test_chunks_are_acknowledged_and_kept_once(api: Door, dispatcher: Door, task: str) -> None:
    """What a worker sends again, as its stream broke before the acknowledgement, is there already."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (work,) = await worker.assigned()
        for first, texts in ((0, ("a", "b")), (0, ("a", "b")), (1, ("b", "c"))):
            await _put(worker, work, first, *texts)
            settled = await _settled(worker)
            assert (settled.lease_id, settled.next, settled.refused) == (work.lease_id, first + 2, False)
        await worker.complete(work)
        messages = await _rest(_subscribe(api, run_id))
    assert [chunk.text for message in messages for chunk in message.chunks] == ["a", "b", "c"]


async def test_a_retried_attempt_begins_anew_and_says_so(api: Door, dispatcher: Door, task: str) -> None:
    """What the former one put stays; what still comes of it is dropped, and its worker told to forget it."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (work,) = await worker.assigned()
        await _put(worker, work, 0, "half")
        assert (await _settled(worker)).next == 1
        await worker.fail(work, type="ValueError", message="no", traceback="")
        (again,) = await worker.assigned()
        await _put(worker, work, 1, "too late")
        settled = await _settled(worker)
        assert (settled.lease_id, settled.next, settled.refused) == (work.lease_id, 2, False)
        await _put(worker, again, 0, "half", "whole")
        await worker.complete(again)
        messages = await _rest(_subscribe(api, run_id))
    chunks = [(chunk.text, chunk.attempt) for message in messages for chunk in message.chunks]
    assert chunks == [("half", 1), ("half", 2), ("whole", 2)]


async def test_dropped_chunks_are_told_by_the_offset(api: Door, dispatcher: Door, task: str) -> None:
    """A run keeps its last thousand."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (work,) = await worker.assigned()
        await _put(worker, work, 0, *map(str, range(1_500)))
        await worker.complete(work)
        messages = await _rest(_subscribe(api, run_id, offset=3))
    assert messages[0].first_offset == 500
    assert [chunk.text for message in messages for chunk in message.chunks] == list(map(str, range(500, 1_500)))
    assert messages[-1].next_offset == 1_500


async def test_chunks_missing_before_others_cut_the_attempts_stream_off(api: Door, dispatcher: Door, task: str) -> None:
    """There is never a hole that nobody is told of."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (work,) = await worker.assigned()
        await _put(worker, work, 0, "a")
        await _settled(worker)
        await _put(worker, work, 2, "c")
        settled = await _settled(worker)
        assert (settled.next, settled.refused) == (3, True)
        await worker.complete(work)
        messages = await _rest(_subscribe(api, run_id))
    assert [chunk.text for message in messages for chunk in message.chunks] == ["a"]
