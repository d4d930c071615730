"""What is over a limit is refused with the limit's name, and nothing of it is stored."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.in_process import ANYWHERE, in_process
from tests.support.raw_client import PATIENCE_S, Door, RawWorker, detail_of, open_door, raw_worker, submission
from tests.support.until import aio_until
from windlass.v1 import dispatch_pb2, error_pb2, run_service_pb2, worker_service_pb2
from windlass_api.api import Api
from windlass_core.local import LocalCluster
from windlass_core.randomness import mint_id
from windlass_core.settings import ApiSettings, DispatcherSettings
from windlass_dispatcher.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FEW = {"WINDLASS_MAX_STREAMS": "2"}


@pytest.fixture
async def crowded() -> AsyncIterator[tuple[Door, Door]]:
    """Give the doors of an api and a dispatcher that take two streams each."""
    with LocalCluster(settings=_FEW) as cluster:
        (process,) = cluster.processes("dispatcher")
        address = f"127.0.0.1:{process.ports['grpc']}"
        async with open_door(cluster.api_address) as api, open_door(address) as dispatcher:
            await api.register("t")
            yield api, dispatcher


async def _open_session(door: Door) -> Any:
    session = door.runs.Session()
    submit = run_service_pb2.SessionSubmit(runs=[submission("t")])
    await session.write(run_service_pb2.SessionRequest(request_id=1, submit=submit))
    return session


async def test_a_session_too_many_is_refused_until_another_ends(crowded: tuple[Door, Door]) -> None:
    """The error names the limit and when to try again."""
    api, _ = crowded
    first, second = [await _open_session(api) for _ in range(2)]
    for session in (first, second):
        assert (await session.read()).request_id == 1
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await (await _open_session(api)).read()
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    detail = detail_of(raised.value)
    assert (detail.reason, detail.limit) == (error_pb2.ERROR_REASON_TOO_MANY, 2)
    assert detail.retry_after_ms > 0
    assert "WINDLASS_MAX_STREAMS" in detail.message
    await first.done_writing()
    assert await first.read() is grpc.aio.EOF
    third = await _open_session(api)
    assert (await third.read()).request_id == 1


async def test_a_worker_too_many_is_refused_and_not_known(crowded: tuple[Door, Door]) -> None:
    """It has to find another dispatcher."""
    api, dispatcher = crowded
    async with raw_worker(dispatcher, "t"), raw_worker(dispatcher, "t"):
        third = RawWorker(dispatcher, "t")
        await third.send(hello=third.hello)
        assert await third.ended() == grpc.StatusCode.RESOURCE_EXHAUSTED
        known = (await api.workers.ListWorkers(worker_service_pb2.ListWorkersRequest())).workers
        assert third.worker_id not in {worker.worker_id for worker in known}


async def test_headers_have_a_limit(api: Door, task: str) -> None:
    """The call never reaches its handler."""
    request = run_service_pb2.SubmitRunsRequest(runs=[submission(task)])
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.runs.SubmitRuns(request, metadata=(("x-much", "x" * 40_000),))
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await api.runs.SubmitRuns(request, metadata=(("x-some", "x" * 20_000),))).outcomes
    runs = (
        await api.runs.ListRuns(
            run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(workflow_names=[task]))
        )
    ).runs
    assert len(runs) == 1


async def test_submits_wait_in_the_client_while_the_store_takes_none(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken in stays bounded; all of it is stored once, when the store is back."""
    most = 1024 * 1024
    api = Api(ApiSettings(store_url=store_url, max_unstored_bytes=most, **ANYWHERE))
    submit, gate = api.shard.runs.submit, asyncio.Event()

    async def when_it_is_back(*arguments: Any) -> Any:
        await gate.wait()
        return await submit(*arguments)

    monkeypatch.setattr(api.shard.runs, "submit", when_it_is_back)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(in_process(api))
        door = await stack.enter_async_context(open_door(f"127.0.0.1:{api.server.port}"))
        await door.register("t")
        session = door.runs.Session()
        written = 0

        async def write() -> None:
            nonlocal written
            for number in range(40):
                runs = [submission("t", "x" * 100_000) for _ in range(10)]
                request = run_service_pb2.SubmitRunsRequest(runs=runs).runs
                message = run_service_pb2.SessionSubmit(runs=request)
                await session.write(run_service_pb2.SessionRequest(request_id=number, submit=message))
                written += 1

        writing = asyncio.create_task(write())
        await aio_until(lambda: api._unstored.bytes >= most, "its bound is reached")
        held = written
        assert held < 40
        unary = asyncio.create_task(door.submit(submission("t")))
        assert api._unstored.bytes < most + 3 * 1_100_000
        gate.set()
        async with asyncio.timeout(60):
            answers = [await session.read() for _ in range(40)]
            await writing
            await unary
        assert sorted(answer.request_id for answer in answers) == list(range(40))
        assert not [o for answer in answers for o in answer.submitted.outcomes if o.HasField("error") or o.duplicate]
        assert api._unstored.bytes == 0
        session.cancel()


async def test_reports_wait_in_the_worker_while_the_store_takes_none(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the dispatcher has taken in stays bounded; all of it is acknowledged, when the store is back."""
    most = 1024 * 1024
    dispatcher = Dispatcher(DispatcherSettings(store_url=store_url, max_unstored_bytes=most, **ANYWHERE))
    complete, gate = dispatcher.shard.runs.complete, asyncio.Event()

    async def when_it_is_back(*arguments: Any) -> Any:
        await gate.wait()
        return await complete(*arguments)

    monkeypatch.setattr(dispatcher.shard.runs, "complete", when_it_is_back)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(in_process(dispatcher))
        door = await stack.enter_async_context(open_door(f"127.0.0.1:{dispatcher.server.port}"))
        worker = await stack.enter_async_context(raw_worker(door, "t"))
        output = json.dumps("x" * 500_000).encode()
        written = 0

        async def write() -> None:
            nonlocal written
            for number in range(60):
                done = dispatch_pb2.Completed(lease_id=f"{number:032}", run_id=mint_id(), output_json=output)
                await worker.send(report=dispatch_pb2.Report(completed=[done]))
                written += 1

        writing = asyncio.create_task(write())
        await aio_until(lambda: dispatcher._unstored.bytes >= most, "its bound is reached")
        assert written < 60
        assert dispatcher._unstored.bytes < most + 600_000
        gate.set()
        await writing
        acknowledged: list[str] = []
        while len(acknowledged) < 60:
            acknowledged += [ack.lease_id for ack in (await worker.receive("acks")).acks]
        assert acknowledged == [f"{number:032}" for number in range(60)]
        await aio_until(lambda: dispatcher._unstored.bytes == 0, "all of it is stored")


async def test_who_follows_counts_as_a_stream(crowded: tuple[Door, Door]) -> None:
    """Each costs the api as much as a session does."""
    api, _ = crowded
    (run_id,) = await api.submit(submission("t"))
    watches = [api.runs.WatchRuns(run_service_pb2.WatchRunsRequest(run_ids=[run_id])) for _ in range(2)]
    for watch in watches:
        assert (await watch.read()).runs
    for refused in (
        api.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id)),
        api.runs.WatchRuns(run_service_pb2.WatchRunsRequest(run_ids=[run_id])),
        await _open_session(api),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await refused.read()
        assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_TOO_MANY
    for watch in watches:
        watch.cancel()

    async def is_taken() -> bool:
        with suppress(grpc.aio.AioRpcError):
            return bool((await (await _open_session(api)).read()).request_id == 1)
        return False

    async with asyncio.timeout(PATIENCE_S):
        while not await is_taken():
            pass
