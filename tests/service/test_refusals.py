"""Bad input: a typed error that names the field, at the call, and nothing stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from redis import Redis

from tests.support.raw_client import detail_of, submission, workflow
from windlass.v1 import (
    error_pb2,
    run_service_pb2,
    worker_service_pb2,
    workflow_pb2,
    workflow_service_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.raw_client import Door
    from windlass_core.local import LocalCluster

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
FIELD = error_pb2.ERROR_REASON_INVALID_FIELD
NONSENSE = "nonsense"
LARGE = error_pb2.ERROR_REASON_TOO_LARGE


@pytest.fixture
def stored(cluster: LocalCluster) -> Callable[[], set[str]]:
    """Give the keys that belong to runs and definitions."""

    def keys() -> set[str]:
        with Redis.from_url(cluster.store_url, decode_responses=True) as client:
            families = ("r:", "ix:", "q:", "T", "k:", "d:", "dv:")
            return {key for key in client.scan_iter("*") if key.partition(":")[2].startswith(families)}

    return keys


@pytest.mark.parametrize(
    ("spec", "reason", "field"),
    [
        ({"workflow_name": "nobody-has-it"}, error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW, "spec.workflow_name"),
        ({"workflow_name": ""}, error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW, "spec.workflow_name"),
        ({"input_json": b"{"}, FIELD, "spec.input_json"),
        ({"input_json": b'"' + b"x" * 1024 * 1024 + b'"'}, LARGE, "spec.input_json"),
        ({"run_id": "x"}, FIELD, "run_id"),
        ({"priority": 7}, FIELD, "spec.priority"),
        ({"queue": "no good"}, FIELD, "spec.queue"),
        ({"metadata_json": b"[]"}, FIELD, "spec.metadata_json"),
        ({"metadata_json": b'{"a":"' + b"x" * 65536 + b'"}'}, LARGE, "spec.metadata_json"),
        ({"delay_ms": 2**60}, FIELD, "spec.delay_ms"),
        ({"retry": {"max_attempts": 9999}}, FIELD, "spec.retry.max_attempts"),
        ({"parent_task_run_id": "x"}, FIELD, "spec.parent_task_run_id"),
    ],
)
async def test_a_bad_run_is_refused_and_the_good_one_beside_it_is_taken(
    api: Door, task: str, spec: dict[str, Any], reason: int, field: str, stored: Callable[[], set[str]]
) -> None:
    """Each succeeds or fails by itself."""
    before = stored()
    given = {"name": task, **spec}
    bad = submission(given.pop("workflow_name", given.pop("name")), **given)
    answer = await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=[bad]))
    assert stored() == before
    error = answer.outcomes[0].error
    assert (error.reason, error.field) == (reason, f"runs[0].{field}")
    assert error.message.startswith(f"runs[0].{field}: ")
    assert bool(error.limit) == (reason == LARGE)
    answer = await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=[submission(task), bad]))
    assert not answer.outcomes[0].HasField("error")
    assert answer.outcomes[1].error.field == f"runs[1].{field}"


def _runs(count: int) -> run_service_pb2.SubmitRunsRequest:
    return run_service_pb2.SubmitRunsRequest(runs=[submission("any")] * count)


def _workflows(*definitions: workflow_pb2.WorkflowDefinition) -> workflow_service_pb2.RegisterWorkflowsRequest:
    return workflow_service_pb2.RegisterWorkflowsRequest(workflows=definitions)


async def _answer(call: Any) -> Any:
    return await (call.read() if isinstance(call, grpc.aio.UnaryStreamCall) else call)


@pytest.mark.parametrize(
    ("service", "call", "request_", "field"),
    [
        ("runs", "SubmitRuns", _runs(0), "runs"),
        ("runs", "SubmitRuns", _runs(1001), "runs"),
        ("runs", "GetRun", run_service_pb2.GetRunRequest(run_id="x"), "run_id"),
        ("runs", "WaitResult", run_service_pb2.WaitResultRequest(run_id=RUN.upper()), "run_id"),
        ("runs", "ListLogs", run_service_pb2.ListLogsRequest(), "run_id"),
        ("runs", "TailLogs", run_service_pb2.TailLogsRequest(), "run_id"),
        ("runs", "SubscribeToStream", run_service_pb2.SubscribeToStreamRequest(), "run_id"),
        ("runs", "WatchRuns", run_service_pb2.WatchRunsRequest(), "run_ids"),
        ("runs", "ListRuns", run_service_pb2.ListRunsRequest(page_token=NONSENSE), "page_token"),
        ("runs", "ListRuns", run_service_pb2.ListRunsRequest(page_size=1001), "page_size"),
        ("runs", "CancelRuns", run_service_pb2.CancelRunsRequest(), "run_ids"),
        ("runs", "CancelRuns", run_service_pb2.CancelRunsRequest(run_ids=[RUN] * 1001), "run_ids"),
        ("runs", "CancelRuns", run_service_pb2.CancelRunsRequest(run_ids=[RUN, "x"]), "run_ids[1]"),
        ("runs", "CancelRuns", run_service_pb2.CancelRunsRequest(run_ids=[RUN], reason="x" * 1025), "reason"),
        ("workflows", "RegisterWorkflows", _workflows(), "workflows"),
        ("workflows", "RegisterWorkflows", _workflows(*[workflow("a")] * 1001), "workflows"),
        ("workflows", "RegisterWorkflows", _workflows(workflow("good"), workflow("no good")), "workflows[1].name"),
        ("workflows", "RegisterWorkflows", _workflows(workflow("a"), workflow("a")), "workflows[1].name"),
        ("workflows", "ListWorkflows", workflow_service_pb2.ListWorkflowsRequest(page_size=1001), "page_size"),
        ("workers", "ListWorkers", worker_service_pb2.ListWorkersRequest(page_size=1001), "page_size"),
        ("workers", "ListWorkers", worker_service_pb2.ListWorkersRequest(page_token=NONSENSE), "page_token"),
    ],
)
async def test_a_bad_call_is_refused_with_its_field(
    api: Door, service: str, call: str, request_: Any, field: str, stored: Callable[[], set[str]]
) -> None:
    """INVALID_ARGUMENT, the field as a path, and what was expected."""
    before = stored()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _answer(getattr(getattr(api, service), call)(request_))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    detail = detail_of(raised.value)
    assert (detail.reason, detail.field) == (FIELD, field)
    assert detail.message.startswith(field)
    assert stored() == before


async def test_a_message_over_four_mebibytes_is_refused(api: Door, task: str) -> None:
    """By gRPC itself: it is not even read."""
    runs = [submission(task, "x" * 1_000_000) for _ in range(5)]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=runs))
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_message_of_nearly_four_mebibytes_is_taken(api: Door, task: str) -> None:
    """Four large payloads at once."""
    assert len(await api.submit(*[submission(task, "x" * 1_000_000) for _ in range(4)])) == 4


async def test_a_full_store_refuses_new_work(cluster: LocalCluster, api: Door, task: str) -> None:
    """And says when to try again; what is there can still end."""
    (run_id,) = await api.submit(submission(task))
    with Redis.from_url(cluster.store_url) as client:
        client.config_set("maxmemory", 1)
        try:
            answer = await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=[submission(task)]))
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await api.register("never-seen-before")
            cancelled = await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[run_id]))
        finally:
            client.config_set("maxmemory", 0)
    error = answer.outcomes[0].error
    assert error.reason == error_pb2.ERROR_REASON_STORE_FULL
    assert error.retry_after_ms > 0
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert list(cancelled.outcomes) == [run_service_pb2.CANCEL_OUTCOME_CANCELLED]
    await api.submit(submission(task))
