"""Replays, the dead letter and bulk calls through the api, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, raw_worker, submission
from windlass.v1 import error_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door

_UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


async def _fail(api: Door, dispatcher: Door, task: str, *types: str) -> list[str]:
    """Runs that failed, each with an error of its type, in the order of their ends."""
    runs = []
    async with raw_worker(dispatcher, task) as worker:
        for error_type in types:
            runs += await api.submit(submission(task))
            (assignment,) = await worker.assigned()
            await worker.fail(assignment, type=error_type, message="broke", traceback="there")
            await api.wait(runs[-1])
    return runs


async def _dead(api: Door, task: str, **conditions: object) -> list[run_pb2.Run]:
    asked = run_service_pb2.RunFilter(workflow_names=[task], **conditions)  # type: ignore[arg-type] # any of them
    answer = await api.runs.ListRuns(run_service_pb2.ListRunsRequest(filter=asked, dead_letter=True))
    return list(answer.runs)


async def test_a_failed_run_is_replayed_and_ends_anew(api: Door, dispatcher: Door, task: str) -> None:
    """Whoever waits from then on is told the new end; its failures tell when they were."""
    (run_id,) = await _fail(api, dispatcher, task, "KeyError")
    answer = await api.runs.ReplayRuns(run_service_pb2.ReplayRunsRequest(run_ids=[run_id, _UNKNOWN, run_id]))
    assert list(answer.outcomes) == [
        run_service_pb2.REPLAY_OUTCOME_REPLAYED,
        run_service_pb2.REPLAY_OUTCOME_UNKNOWN_RUN,
        run_service_pb2.REPLAY_OUTCOME_ALREADY_REPLAYED,
    ]
    run = await api.get(run_id)
    assert (run.status, run.attempt, run.replays, run.finished_at_ms) == (run_pb2.RUN_STATUS_QUEUED, 0, 1, 0)
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        assert (assignment.run_id, assignment.attempt, list(assignment.failures)) == (run_id, 1, [])
        answer = await api.runs.ReplayRuns(run_service_pb2.ReplayRunsRequest(run_ids=[run_id]))
        assert list(answer.outcomes) == [run_service_pb2.REPLAY_OUTCOME_NOT_ENDED]
        await worker.fail(assignment, type="ValueError", message="again")
        assert (await api.wait(run_id)).failure.type == "ValueError"
    failures = (await api.get(run_id)).failures
    assert [(f.type, f.attempt, f.replay) for f in failures] == [("KeyError", 1, 0), ("ValueError", 1, 1)]


async def test_a_retry_hears_of_failures_since_the_replay_alone(api: Door, dispatcher: Door, task: str) -> None:
    """Those before it were of attempts that have the same numbers."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 2}))
    async with raw_worker(dispatcher, task) as worker:
        for error_type in ("First", "Second"):
            (assignment,) = await worker.assigned()
            await worker.fail(assignment, type=error_type, message="broke")
        await api.wait(run_id)
        await api.runs.ReplayRuns(run_service_pb2.ReplayRunsRequest(run_ids=[run_id]))
        (assignment,) = await worker.assigned()
        await worker.fail(assignment, type="Third", message="broke")
        (assignment,) = await worker.assigned()
        assert (assignment.attempt, [f.type for f in assignment.failures]) == (2, ["Third"])
        await worker.complete(assignment, b"1")
    assert [f.type for f in (await api.get(run_id)).failures] == ["First", "Second", "Third"]


async def test_the_dead_letter_is_listed_retried_and_deleted_by_types(api: Door, dispatcher: Door, task: str) -> None:
    """Each call reaches what its filter means, and nothing else."""
    first, second, third = await _fail(api, dispatcher, task, "KeyError", "ValueError", "KeyError")
    listed = await _dead(api, task)
    assert [run.run_id for run in listed] == [third, second, first]
    assert [(f.type, f.traceback) for run in listed for f in run.failures] == [
        ("KeyError", ""),
        ("ValueError", ""),
        ("KeyError", ""),
    ]
    keys = run_service_pb2.RunFilter(workflow_names=[task], error_types=["KeyError"])
    retried = await api.runs.ReplayRuns(run_service_pb2.ReplayRunsRequest(filter=keys, dead_letter=True))
    assert (retried.replayed, list(retried.outcomes), retried.next_page_token) == (2, [], "")
    assert [run.run_id for run in await _dead(api, task)] == [second]
    mine = run_service_pb2.RunFilter(workflow_names=[task])
    deleted = await api.runs.DeleteRuns(run_service_pb2.DeleteRunsRequest(filter=mine))
    assert deleted.deleted == 1
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.get(second)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    answer = await api.runs.DeleteRuns(run_service_pb2.DeleteRunsRequest(run_ids=[first, second]))
    assert list(answer.outcomes) == [
        run_service_pb2.DELETE_OUTCOME_NOT_FAILED,
        run_service_pb2.DELETE_OUTCOME_UNKNOWN_RUN,
    ]


async def test_a_filter_cancels_over_several_calls(api: Door, task: str) -> None:
    """A thousand or so at a time; the token goes on."""
    for _ in range(3):
        await api.submit(*[submission(task, i) for i in range(500)])
    request = run_service_pb2.CancelRunsRequest(
        filter=run_service_pb2.RunFilter(workflow_names=[task]), reason="all of them"
    )
    cancelled, calls = 0, 0
    while True:
        answer = await api.runs.CancelRuns(request)
        cancelled, calls = cancelled + answer.cancelled, calls + 1
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert (cancelled, calls) == (1500, 2)


@pytest.mark.parametrize("call", ["CancelRuns", "ReplayRuns", "DeleteRuns"])
async def test_nothing_is_done_where_nothing_is_chosen(api: Door, task: str, call: str) -> None:
    """Neither ids nor a filter, both, or a filter that would reach everything."""
    (run_id,) = await api.submit(submission(task))
    request = getattr(run_service_pb2, f"{call}Request")
    anything = run_service_pb2.RunFilter()
    for asked, field in (
        (request(), "run_ids"),
        (request(filter=anything), "filter"),
        (request(filter=anything, all=True, run_ids=[run_id]), "filter"),
        (request(filter=anything, all=True, page_token="nonsense"), "page_token"),  # noqa: S106 - no password
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(api.runs, call)(asked)
        detail = detail_of(raised.value)
        assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_INVALID_FIELD, field)
    assert (await api.get(run_id)).status == run_pb2.RUN_STATUS_QUEUED
