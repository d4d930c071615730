"""TailLogs and WatchRuns: what is new of a run is sent, and nobody asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from tests.support.raw_client import PATIENCE_S, RawWorker, detail_of, raw_worker, submission
from windlass.v1 import dispatch_pb2, error_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door
    from windlass_core.local import LocalCluster

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


async def _log(worker: RawWorker, assignment: dispatch_pb2.Assignment, *texts: str) -> None:
    lines = [run_pb2.LogLine(logged_at_ms=1, level="INFO", message=text, attempt=1) for text in texts]
    log = dispatch_pb2.TaskLog(run_id=assignment.run_id, lease_id=assignment.lease_id, lines=lines)
    await worker.send(logs=dispatch_pb2.Logs(logs=[log]))


async def _rest(stream: Any) -> list[Any]:
    """All that still comes; one call can't be both read and iterated."""
    messages = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


async def test_a_log_is_sent_as_it_comes(api: Door, dispatcher: Door, task: str) -> None:
    """Each line once, from the offset asked for, and at last how the run ended."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        (assignment,) = await worker.assigned()
        tail = api.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id))
        told: list[str] = []
        for text in ("one", "two"):
            await _log(worker, assignment, text)
            told += [line.message for line in (await tail.read()).lines]
        later = api.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id, offset=1))
        first = await later.read()
        assert ([line.message for line in first.lines], first.first_offset, first.next_offset) == (["two"], 1, 2)
        await _log(worker, assignment, "last")
        await worker.complete(assignment)
        for stream in (tail, later):
            rest = await _rest(stream)
            assert [line.message for message in rest for line in message.lines] == ["last"]
            assert [message.ended for message in rest] == [0, run_pb2.RUN_STATUS_COMPLETED]
    assert told == ["one", "two"]


async def test_lines_are_there_before_the_end_is(api: Door, dispatcher: Door, task: str) -> None:
    """Also a thousand, that travel right before it; many times, to give the two a chance to swap."""
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        for _ in range(10):
            (run_id,) = await api.submit(submission(task))
            (assignment,) = await worker.assigned()
            tail = api.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id))
            await _log(worker, assignment, *map(str, range(1000)))
            await worker.complete(assignment)
            lines = [line.message async for message in tail for line in message.lines]
            assert lines == list(map(str, range(1000)))


async def test_progress_is_told_as_it_comes(api: Door, dispatcher: Door, task: str) -> None:
    """Each word is told, and is there when the end is; another attempt begins without."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    async with raw_worker(dispatcher, task) as worker, asyncio.timeout(PATIENCE_S):
        watch = api.runs.WatchRuns(run_service_pb2.WatchRunsRequest(run_ids=[run_id]))

        async def until(done: float) -> run_pb2.RunState:
            state: run_pb2.RunState
            while True:
                (state,) = (await watch.read()).runs
                if state.progress.done == done:
                    return state

        async def tell(assignment: dispatch_pb2.Assignment, done: float) -> None:
            told = dispatch_pb2.TaskProgress(
                run_id=assignment.run_id,
                lease_id=assignment.lease_id,
                progress=run_pb2.Progress(done=done, total=10, message="working"),
            )
            await worker.send(progresses=dispatch_pb2.Progresses(progresses=[told]))

        (assignment,) = await worker.assigned()
        for done in (1, 2):
            await tell(assignment, done)
            state = await until(done)
            assert (state.progress.total, state.progress.message) == (10, "working")
        await tell(assignment, 3)
        await worker.fail(assignment, type="ValueError", message="no", traceback="")
        (again,) = await worker.assigned()
        await tell(assignment, 4)  # a lease that is over
        found = await api.runs.GetRun(run_service_pb2.GetRunRequest(run_id=run_id))
        assert not found.run.HasField("progress")
        for done in range(5, 100):
            await tell(again, done)
        await worker.complete(again)
        state = (await _rest(watch))[-1].runs[0]
        assert (state.status, state.progress.done) == (run_pb2.RUN_STATUS_COMPLETED, 99)
        found = await api.runs.GetRun(run_service_pb2.GetRunRequest(run_id=run_id))
        assert found.run.progress.done == 99


async def test_an_ended_run_is_told_at_once(api: Door, task: str) -> None:
    """Its log has nothing more to come."""
    (run_id,) = await api.submit(submission(task))
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[run_id], reason="enough"))
    async with asyncio.timeout(PATIENCE_S):
        (last,) = [m async for m in api.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id, offset=7))]
        (state,) = (await api.runs.WatchRuns(run_service_pb2.WatchRunsRequest(run_ids=[run_id])).read()).runs
    assert (last.ended, last.next_offset) == (run_pb2.RUN_STATUS_CANCELLED, 7)
    assert (state.status, state.cancel_reason) == (run_pb2.RUN_STATUS_CANCELLED, "enough")


async def test_runs_are_told_as_they_move(api: Door, dispatcher: Door, task: str) -> None:
    """Queued, running, put back, running, failed; the failure comes with the last."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    told: list[tuple[int, int]] = []
    async with asyncio.timeout(PATIENCE_S):
        watch = api.runs.WatchRuns(run_service_pb2.WatchRunsRequest(run_ids=[run_id]))

        async def until(status: int) -> run_pb2.RunState:
            state: run_pb2.RunState
            while True:
                (state,) = (await watch.read()).runs
                told.append((state.status, state.attempt))
                if state.status == status:
                    return state

        await until(run_pb2.RUN_STATUS_QUEUED)
        async with raw_worker(dispatcher, task) as worker:
            for _ in range(2):
                (assignment,) = await worker.assigned()
                await until(run_pb2.RUN_STATUS_RUNNING)
                await worker.fail(assignment, type="ValueError", message="no", traceback="long")
            ended = await until(run_pb2.RUN_STATUS_FAILED)
        assert await watch.read() is grpc.aio.EOF
    assert (ended.failure.type, ended.failure.message, ended.failure.traceback) == ("ValueError", "no", "")
    assert (ended.workflow_name, ended.attempt) == (task, 2)
    assert (run_pb2.RUN_STATUS_RUNNING, 1) in told


@pytest.mark.parametrize("call", ["TailLogs", "SubscribeToStream", "WatchRuns"])
async def test_a_run_that_nobody_has_is_not_found(api: Door, call: str) -> None:
    """With the typed detail."""
    requests = {
        "TailLogs": run_service_pb2.TailLogsRequest(run_id=UNKNOWN),
        "SubscribeToStream": run_service_pb2.SubscribeToStreamRequest(run_id=UNKNOWN),
        "WatchRuns": run_service_pb2.WatchRunsRequest(run_ids=[UNKNOWN]),
    }
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await getattr(api.runs, call)(requests[call]).read()
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_UNKNOWN_RUN


async def test_another_api_is_told_too(cluster: LocalCluster, dispatcher: Door, api: Door, task: str) -> None:
    """The store tells each that has a follower."""
    from tests.support.raw_client import open_door
    from windlass_core.local import LocalCluster as Another

    (run_id,) = await api.submit(submission(task))
    with Another(store_url=cluster.store_url, dispatchers=0, schedulers=0) as second:
        async with (
            open_door(second.api_address) as other,
            raw_worker(dispatcher, task) as worker,
            asyncio.timeout(PATIENCE_S),
        ):
            (assignment,) = await worker.assigned()
            tails = [door.runs.TailLogs(run_service_pb2.TailLogsRequest(run_id=run_id)) for door in (api, other)]
            await _log(worker, assignment, "both")
            for tail in tails:
                assert [line.message for line in (await tail.read()).lines] == ["both"]
            await worker.complete(assignment)
