"""The run service's unary calls, against real processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, raw_worker, submission
from windlass.v1 import dispatch_pb2, error_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door
    from windlass_core.local import LocalCluster


async def test_a_run_goes_from_submit_to_result(api: Door, dispatcher: Door, task: str) -> None:
    """Queued, running, completed; each is shown."""
    (run_id,) = await api.submit(submission(task, {"n": 1}, metadata_json=b'{"team":"x"}'))
    run = await api.get(run_id)
    assert (run.status, run.phase) == (run_pb2.RUN_STATUS_QUEUED, run_pb2.RUN_PHASE_READY)
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        assert (assignment.run_id, assignment.spec.input_json) == (run_id, b'{"n": 1}')
        assert await worker.complete(assignment, b'{"n": 2}') == dispatch_pb2.REPORT_OUTCOME_RECORDED
    result = await api.wait(run_id)
    assert (result.status, result.output_json) == (run_pb2.RUN_STATUS_COMPLETED, b'{"n": 2}')
    run = await api.get(run_id)
    assert (run.status, run.output_json, run.attempt) == (run_pb2.RUN_STATUS_COMPLETED, b'{"n": 2}', 1)
    assert 0 < run.created_at_ms <= run.started_at_ms <= run.finished_at_ms
    assert (run.worker_id, run.spec.metadata_json) == (worker.worker_id, b'{"team":"x"}')


async def test_a_failure_is_kept_and_told(api: Door, dispatcher: Door, task: str) -> None:
    """Type, message, traceback, attempt, worker."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    async with raw_worker(dispatcher, task) as worker:
        for message in ("first", "second"):
            (assignment,) = await worker.assigned()
            await worker.fail(assignment, type="KeyError", message=message, traceback="there")
    result = await api.wait(run_id)
    assert result.status == run_pb2.RUN_STATUS_FAILED
    assert (result.failure.type, result.failure.message, result.failure.attempt) == ("KeyError", "second", 2)
    failures = (await api.get(run_id)).failures
    assert [(f.message, f.attempt, f.traceback) for f in failures] == [("first", 1, "there"), ("second", 2, "there")]
    assert {f.worker_id for f in failures} == {worker.worker_id}


async def test_submitting_again_is_safe(api: Door, task: str) -> None:
    """The same id with the same content is a duplicate, with another it is refused."""
    (run_id,) = await api.submit(submission(task, 1))
    again = [submission(task, 1, run_id), submission(task, 2, run_id)]
    answer = await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=again))
    assert answer.outcomes[0].duplicate
    assert answer.outcomes[1].error.reason == error_pb2.ERROR_REASON_RUN_ID_TAKEN
    assert (await api.get(run_id)).spec.input_json == b"1"


async def test_a_bulk_of_a_thousand_is_taken(api: Door, task: str) -> None:
    """In one message, each with an id of its own."""
    ids = await api.submit(*[submission(task, i) for i in range(1000)])
    assert len(set(ids)) == 1000
    page = await api.runs.ListRuns(
        run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(workflow_names=[task]), page_size=1000)
    )
    assert {run.run_id for run in page.runs} == set(ids)


async def test_runs_are_listed_and_paged(api: Door, task: str) -> None:
    """By workflow and status, over several pages."""
    ids = await api.submit(*[submission(task, i) for i in range(7)])
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=ids[:2]))
    queued = run_service_pb2.RunFilter(workflow_names=[task], statuses=[run_pb2.RUN_STATUS_QUEUED])
    request = run_service_pb2.ListRunsRequest(filter=queued, page_size=2)
    listed: list[str] = []
    while True:
        page = await api.runs.ListRuns(request)
        listed += [run.run_id for run in page.runs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(listed) == sorted(ids[2:])


async def test_a_waiting_run_is_cancelled_at_once(api: Door, task: str) -> None:
    """Whoever waits for it is told why."""
    (run_id,) = await api.submit(submission(task))
    waiting = asyncio.create_task(api.wait(run_id))
    request = run_service_pb2.CancelRunsRequest(run_ids=[run_id, run_id, "01890a5d-ac96-774b-bcce-b302099a8057"])
    request.reason = "enough"
    outcomes = (await api.runs.CancelRuns(request)).outcomes
    assert list(outcomes) == [
        run_service_pb2.CANCEL_OUTCOME_CANCELLED,
        run_service_pb2.CANCEL_OUTCOME_ALREADY_ENDED,
        run_service_pb2.CANCEL_OUTCOME_UNKNOWN_RUN,
    ]
    result = await waiting
    assert (result.status, result.cancel_reason) == (run_pb2.RUN_STATUS_CANCELLED, "enough")


async def test_the_worker_of_a_cancelled_run_is_told(api: Door, dispatcher: Door, task: str) -> None:
    """The run ends cancelled, whatever it then returns."""
    async with raw_worker(dispatcher, task) as worker:
        (run_id,) = await api.submit(submission(task))
        (assignment,) = await worker.assigned()
        request = run_service_pb2.CancelRunsRequest(run_ids=[run_id], reason="enough")
        assert list((await api.runs.CancelRuns(request)).outcomes) == [run_service_pb2.CANCEL_OUTCOME_REQUESTED]
        cancel = await worker.receive("cancel")
        assert (list(cancel.lease_ids), cancel.reason) == ([assignment.lease_id], "enough")
        assert (await api.get(run_id)).cancel_requested
        assert await worker.complete(assignment) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    assert (await api.wait(run_id)).status == run_pb2.RUN_STATUS_CANCELLED


async def test_waiting_has_an_end_of_its_own(api: Door, task: str) -> None:
    """The run goes on."""
    (run_id,) = await api.submit(submission(task))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.runs.WaitResult(run_service_pb2.WaitResultRequest(run_id=run_id, timeout_ms=1))
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await api.get(run_id)).status == run_pb2.RUN_STATUS_QUEUED


async def test_many_wait_for_one_run(api: Door, dispatcher: Door, task: str) -> None:
    """Before its end and after it."""
    (run_id,) = await api.submit(submission(task))
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(api.wait(run_id)) for _ in range(20)]
        async with raw_worker(dispatcher, task) as worker:
            (assignment,) = await worker.assigned()
            await worker.complete(assignment, b'"x"')
    assert {task.result().output_json for task in waiting} == {b'"x"'}
    assert (await api.wait(run_id)).output_json == b'"x"'


async def test_a_large_output_comes_whole(api: Door, dispatcher: Door, task: str) -> None:
    """It is not copied about in the store; 1 MiB is the limit, to the byte."""
    (run_id,) = await api.submit(submission(task))
    output = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
    waiting = asyncio.create_task(api.wait(run_id))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        assert await worker.complete(assignment, output) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    assert (await waiting).output_json == output


@pytest.mark.parametrize("output", [b"{", b'"' + b"x" * 1024 * 1024 + b'"'])
async def test_an_output_that_cannot_be_taken_fails_the_run(
    api: Door, dispatcher: Door, task: str, output: bytes
) -> None:
    """For good, whatever the policy says."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 5}))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        assert await worker.complete(assignment, output) == dispatch_pb2.REPORT_OUTCOME_REJECTED
    result = await api.wait(run_id)
    assert (result.status, result.failure.attempt) == (run_pb2.RUN_STATUS_FAILED, 1)


async def test_the_third_crash_of_its_process_ends_a_run(api: Door, dispatcher: Door, task: str) -> None:
    """No retry is charged, and the worker's message is kept."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 1}))
    async with raw_worker(dispatcher, task) as worker:
        for signal in ("SIGKILL", "SIGSEGV", "SIGABRT"):
            (assignment,) = await worker.assigned()
            assert (assignment.attempt, assignment.isolated) == (1, False)
            await worker.fail(assignment, crash=dispatch_pb2.CRASH_ALONE, message=f"killed by {signal}")
    run = await api.get(run_id)
    assert run.status == run_pb2.RUN_STATUS_FAILED
    assert [(f.type, f.message) for f in run.failures] == [
        ("Crashed", f"killed by {signal}") for signal in ("SIGKILL", "SIGSEGV", "SIGABRT")
    ]


async def test_who_lost_its_process_with_others_is_isolated(api: Door, dispatcher: Door, task: str) -> None:
    """Until an attempt has ended by itself."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        await worker.fail(assignment, crash=dispatch_pb2.CRASH_AMONG_OTHERS)
        (assignment,) = await worker.assigned()
        assert (assignment.attempt, assignment.isolated) == (1, True)
        await worker.fail(assignment, type="E")
        (assignment,) = await worker.assigned()
        assert (assignment.attempt, assignment.isolated) == (2, False)
        await worker.complete(assignment)
    assert [f.type for f in (await api.get(run_id)).failures] == ["Crashed", "E"]


async def test_a_named_type_means_those_that_derive_from_it(api: Door, dispatcher: Door, task: str) -> None:
    """The worker says which; nothing of that is kept."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2, "retryable_errors": ["OSError"]}))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        await worker.fail(assignment, type="ConnectionError", base_types=["OSError", "Exception"])
        (assignment,) = await worker.assigned()
        await worker.complete(assignment)
    (failure,) = (await api.get(run_id)).failures
    assert (failure.type, list(failure.base_types)) == ("ConnectionError", [])


async def test_log_lines_are_read_in_pages(api: Door, dispatcher: Door, task: str) -> None:
    """From any offset; the next one is told."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        lines = [run_pb2.LogLine(logged_at_ms=i, level="INFO", message=f"line {i}", attempt=1) for i in range(5)]
        log = dispatch_pb2.TaskLog(run_id=run_id, lease_id=assignment.lease_id, lines=lines)
        await worker.send(logs=dispatch_pb2.Logs(logs=[log]))
        page = await api.runs.ListLogs(run_service_pb2.ListLogsRequest(run_id=run_id))
        async with asyncio.timeout(30):
            while not page.lines:
                page = await api.runs.ListLogs(run_service_pb2.ListLogsRequest(run_id=run_id))
        await worker.complete(assignment)
    assert list(page.lines) == lines
    assert (page.first_offset, page.next_offset) == (0, 5)
    page = await api.runs.ListLogs(run_service_pb2.ListLogsRequest(run_id=run_id, offset=1, limit=2))
    assert [line.message for line in page.lines] == ["line 1", "line 2"]
    assert (page.first_offset, page.next_offset) == (1, 3)
    page = await api.runs.ListLogs(run_service_pb2.ListLogsRequest(run_id=run_id, offset=99))
    assert (len(page.lines), page.next_offset) == (0, 99)


async def test_a_delayed_run_starts_when_it_is_due(api: Door, dispatcher: Door, task: str) -> None:
    """The scheduler's own doing: nobody asks it to."""
    async with raw_worker(dispatcher, task) as worker:
        (run_id,) = await api.submit(submission(task, delay_ms=50))
        assert (await api.get(run_id)).phase in {run_pb2.RUN_PHASE_SCHEDULED, run_pb2.RUN_PHASE_LEASED}
        (assignment,) = await worker.assigned()
        await worker.complete(assignment)
    run = await api.get(run_id)
    assert run.started_at_ms >= run.ready_at_ms == run.created_at_ms + 50


async def test_a_run_that_is_not_started_in_time_is_cancelled(api: Door, task: str) -> None:
    """With no worker at all."""
    (run_id,) = await api.submit(submission(task, expires_ms=20))
    result = await api.wait(run_id)
    assert (result.status, "time to start" in result.cancel_reason) == (run_pb2.RUN_STATUS_CANCELLED, True)


async def test_children_end_with_their_parent(api: Door, dispatcher: Door, task: str) -> None:
    """Those that wait, and those that come later."""
    async with raw_worker(dispatcher, task, slots=1) as worker:
        (parent,) = await api.submit(submission(task))
        (assignment,) = await worker.assigned()
        (child,) = await api.submit(submission(task, parent_task_run_id=parent))
        await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[parent], reason="enough"))
        assert (await api.wait(child)).cancel_reason == "enough"
        (late,) = await api.submit(submission(task, parent_task_run_id=parent))
        assert (await api.wait(late)).status == run_pb2.RUN_STATUS_CANCELLED
        await worker.complete(assignment)


@pytest.mark.parametrize("call", ["GetRun", "WaitResult", "ListLogs"])
async def test_a_run_that_nobody_has_is_not_found(api: Door, call: str) -> None:
    """With the typed detail."""
    request = getattr(run_service_pb2, f"{call}Request")(run_id="01890a5d-ac96-774b-bcce-b302099a8057")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await getattr(api.runs, call)(request)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_UNKNOWN_RUN


async def test_two_apis_know_the_same(cluster: LocalCluster, api: Door, task: str) -> None:
    """They keep nothing of their own: a run waited for at one may end through the other."""
    from tests.support.raw_client import open_door
    from windlass_core.local import LocalCluster as Another

    with Another(store_url=cluster.store_url, dispatchers=0, schedulers=0) as second:
        async with open_door(second.api_address) as other:
            (run_id,) = await api.submit(submission(task))
            waiting = [asyncio.create_task(door.wait(run_id)) for door in (api, other)]
            while (await other.get(run_id)).status != run_pb2.RUN_STATUS_QUEUED:
                pass
            await other.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[run_id]))
            assert {(await each).status for each in waiting} == {run_pb2.RUN_STATUS_CANCELLED}
