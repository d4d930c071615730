"""Peers that do not read what they are sent: what is kept for them is bounded, and so is the time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.in_process import ANYWHERE, in_process
from tests.support.raw_client import PATIENCE_S, Door, RawWorker, detail_of, open_door, raw_worker, submission
from tests.support.until import aio_until
from windlass.v1 import dispatch_pb2, error_pb2, run_pb2, run_service_pb2
from windlass_api.api import Api
from windlass_api.session import ClientSession
from windlass_core.rpc import outlet, status
from windlass_core.settings import ApiSettings, DispatcherSettings, SchedulerSettings
from windlass_dispatcher import stream as stream_module
from windlass_dispatcher.dispatcher import Dispatcher
from windlass_scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from windlass_api.waiting import End

_BOUND = 64 * 1024
# gRPC itself reads ahead no more than this.
_NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16 * 1024))
_TEXT = "x" * 4_000


class Engine:
    """An api and a dispatcher on the test's loop, and doors of two clients that share no connection."""

    def __init__(self, api: Api, dispatcher: Dispatcher, doors: list[Door]) -> None:
        self.api = api
        self.dispatcher = dispatcher
        self.door, self.slow_door, self.workers, self.slow_workers = doors


@pytest.fixture
async def engine_parts(store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """Give an engine whose bounds are small."""
    monkeypatch.setattr(outlet, "LAST_WORDS_S", 0.2)
    settings: dict[str, Any] = {"store_url": store_url, "max_unread_bytes": _BOUND, **ANYWHERE}
    api = Api(ApiSettings(unread_timeout=timedelta(seconds=2), **settings))
    dispatcher = Dispatcher(DispatcherSettings(accept_timeout=timedelta(seconds=2), **settings))
    scheduler = Scheduler(SchedulerSettings(store_url=store_url, **ANYWHERE))
    async with AsyncExitStack() as stack:
        for service in (scheduler, dispatcher, api):
            await stack.enter_async_context(in_process(service))
        doors = [
            await stack.enter_async_context(open_door(f"127.0.0.1:{service.server.port}", *options))
            for service in (api, dispatcher)
            for options in ((), _NARROW)
        ]
        await doors[0].register("t")
        yield Engine(api, dispatcher, doors)


def _submit(count: int, value: object = None) -> run_service_pb2.SessionRequest:
    runs = [submission("t", value) for _ in range(count)]
    return run_service_pb2.SessionRequest(request_id=1, submit=run_service_pb2.SessionSubmit(runs=runs, subscribe=True))


async def _execute(engine: Engine, count: int) -> None:
    """Completes so many runs with their inputs, as a worker that comes for them."""
    async with raw_worker(engine.workers, "t", slots=1000) as worker:
        await _complete(worker, count)


async def _complete(worker: RawWorker, count: int) -> None:
    while count > 0:
        assignments = await worker.assigned()
        await worker.complete_all(assignments)
        count -= len(assignments)


async def _submit_all(door: Door, count: int) -> Any:
    """A session that has submitted and has read no more than the answers to that."""
    session = door.runs.Session()
    for _ in range(count // 20):
        await session.write(_submit(20, _TEXT))
        answer = await session.read()
        assert answer.WhichOneof("message") == "submitted"
    return session


async def _read_to_end(stream: Any) -> tuple[grpc.aio.AioRpcError, list[Any]]:
    """The error that a stream has ended with, and what came before."""
    responses: list[Any] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (response := await stream.read()) is not grpc.aio.EOF:
                responses.append(response)
    except grpc.aio.AioRpcError as error:
        return error, responses
    raise AssertionError(f"the stream has ended well: {await stream.code()}")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[ClientSession, list[int]]:
    """Tell how many bytes each session of the api kept after each result that it was told: only those add to them."""
    kept: dict[ClientSession, list[int]] = defaultdict(list)
    tell = ClientSession._tell

    def note(session: ClientSession, end: End | None) -> None:
        tell(session, end)
        kept[session].append(session.unread_bytes)

    monkeypatch.setattr(ClientSession, "_tell", note)
    return kept


async def test_a_client_that_reads_nothing_is_cut_off_and_costs_little(
    kept: dict[ClientSession, list[int]], engine_parts: Engine
) -> None:
    """Nobody else waits for it, and what it missed it is told when it asks again."""
    engine = engine_parts
    slow = await _submit_all(engine.slow_door, 400)
    (session,) = engine.api._runs._sessions
    async with raw_worker(engine.workers, "t", slots=1000) as worker:
        await _complete(worker, 400)
        async with asyncio.timeout(5):
            other = await _submit_all(engine.door, 20)
            await _complete(worker, 20)
            assert len((await other.read()).results.results) > 0
    other.cancel()
    await aio_until(lambda: session not in engine.api._runs._sessions, "it is cut off")
    assert 0 < max(kept[session]) <= _BOUND
    error, responses = await _read_to_end(slow)
    assert detail_of(error).reason == error_pb2.ERROR_REASON_SLOW_READER
    assert sum(len(response.results.results) for response in responses) < 400


async def test_a_client_that_reads_slowly_gets_all_results(engine_parts: Engine) -> None:
    """Past the bound they are read from the store again, in their order."""
    engine = engine_parts
    slow = await _submit_all(engine.slow_door, 500)
    (session,) = engine.api._runs._sessions
    executing = asyncio.create_task(_execute(engine, 500))
    await aio_until(lambda: any(end.result is None for end in session._results), "the bound is reached")
    told: list[run_pb2.RunResult] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(told) < 500:
            told += (await slow.read()).results.results
    await executing
    assert len({result.run_id for result in told}) == 500
    assert all(len(result.output_json) == len(_TEXT) + 2 for result in told)
    assert session.unread_bytes == 0
    slow.cancel()


async def test_a_peer_that_reads_not_even_its_status_loses_its_connection(
    engine_parts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call would live as long as the peer liked."""
    monkeypatch.setattr(status, "UNREAD_STATUS_S", 0.2)
    engine = engine_parts
    slow = await _submit_all(engine.slow_door, 400)
    await _execute(engine, 400)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await engine.slow_door.runs.WaitResult(
                run_service_pb2.WaitResultRequest(run_id=(await engine.door.submit(submission("t")))[0])
            )
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
    assert not slow.done() or await slow.code() != grpc.StatusCode.OK


async def test_requests_are_read_no_faster_than_their_answers_are(engine_parts: Engine) -> None:
    """Whoever asks without end and never reads is made to wait, then cut off."""
    engine = engine_parts
    session = engine.slow_door.runs.Session()
    subscribe = run_service_pb2.SessionSubscribe(run_ids=["0" * 36] * 1000)
    asked = 0
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while True:
            asked += 1
            await session.write(run_service_pb2.SessionRequest(request_id=asked, subscribe=subscribe))
            for each in engine.api._runs._sessions:
                assert each._open <= 64
    assert await session.code() != grpc.StatusCode.OK


async def test_a_worker_that_reads_nothing_loses_its_work_to_others(engine_parts: Engine) -> None:
    """Soon, and what waits for it is bounded."""
    engine = engine_parts
    deaf = RawWorker(engine.slow_workers, "t", slots=1000)
    await deaf.connect()
    session = engine.door.runs.Session()
    for _ in range(20):
        await session.write(_submit(20, _TEXT))
        await session.read()
    (stream,) = engine.dispatcher._streams.values()
    await aio_until(lambda: any(a.spec is None for a in stream.unaccepted()), "its bound is reached")
    assert stream.work_bytes < _BOUND + 400 * 400
    await aio_until(lambda: stream.worker_id not in engine.dispatcher._streams, "it is taken for deaf")
    await _execute(engine, 400)
    told: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(told) < 400:
            told |= {result.run_id for result in (await session.read()).results.results}
    session.cancel()
    await deaf.end()


async def test_a_worker_that_reads_slowly_gets_all_its_work(engine_parts: Engine) -> None:
    """Past the bound the specs are read from the store again."""
    engine = engine_parts
    worker = RawWorker(engine.slow_workers, "t", slots=1000)
    await worker.connect()
    session = engine.door.runs.Session()
    for _ in range(10):
        await session.write(_submit(20, _TEXT))
        await session.read()
    assignments: list[dispatch_pb2.Assignment] = []
    while len(assignments) < 200:
        assignments += await worker.assigned(1)
    assert all(len(a.spec.input_json) == len(_TEXT) + 2 for a in assignments)
    await worker.complete_all(assignments)
    session.cancel()
    await worker.end()


async def test_a_stream_without_a_hello_is_ended(engine_parts: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take a worker's place for ever."""
    monkeypatch.setattr(stream_module, "HELLO_WITHIN_S", 0.1)
    assert await RawWorker(engine_parts.workers, "t").ended() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_log_that_is_not_read_is_cut_off(engine_parts: Engine) -> None:
    """Each line would wait for a reader that never comes."""
    engine = engine_parts
    (run_id,) = await engine.door.submit(submission("t"))
    async with raw_worker(engine.workers, "t") as worker:
        (assignment,) = await worker.assigned()
        lines = [run_pb2.LogLine(level="INFO", message=_TEXT)] * 250
        log = dispatch_pb2.TaskLog(run_id=run_id, lease_id=assignment.lease_id, lines=lines)
        await worker.send(logs=dispatch_pb2.Logs(logs=[log]))
        tail = engine.slow_door.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id))
        await aio_until(lambda: bool(engine.api._following._followers), "it is followed")
        await aio_until(lambda: not engine.api._following._followers, "it is cut off")
        error, _ = await _read_to_end(tail)
        assert detail_of(error).reason == error_pb2.ERROR_REASON_SLOW_READER
        await worker.complete(assignment)
