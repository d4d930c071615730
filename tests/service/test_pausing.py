"""Pausing workflows and queues, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, raw_worker, submission
from windlass.v1 import error_pb2, run_pb2, workflow_service_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door


async def _is_paused(api: Door, name: str) -> bool:
    shown = await api.workflows.GetWorkflow(workflow_service_pb2.GetWorkflowRequest(name=name))
    listed = await api.workflows.ListWorkflows(workflow_service_pb2.ListWorkflowsRequest(page_size=1000))
    by_name = {each.definition.name: each.paused for each in listed.workflows}
    assert by_name[name] == shown.workflow.paused
    return bool(shown.workflow.paused)


async def _queues(api: Door, page_size: int = 1000) -> dict[str, tuple[int, bool]]:
    found = []
    request = workflow_service_pb2.ListQueuesRequest(page_size=page_size)
    while True:
        page = await api.workflows.ListQueues(request)
        found += page.queues
        if not page.next_page_token:
            names = [queue.name for queue in found]
            assert names == sorted(set(names))
            return {queue.name: (queue.queued_runs, queue.paused) for queue in found}
        request.page_token = page.next_page_token


async def test_a_paused_workflow_takes_runs_in_and_starts_none(api: Door, dispatcher: Door, task: str) -> None:
    """Others go on; what waited is started once it is resumed; repeating either changes nothing."""
    other = f"task-{mint_id()}"
    await api.register(other)
    pause = workflow_service_pb2.PauseWorkflowsRequest(names=[task])
    resume = workflow_service_pb2.ResumeWorkflowsRequest(names=[task])
    for _ in range(2):
        await api.workflows.PauseWorkflows(pause)
    assert await _is_paused(api, task)
    async with raw_worker(dispatcher, task, other) as worker:
        (waits,) = await api.submit(submission(task))
        (goes,) = await api.submit(submission(other))
        (assignment,) = await worker.assigned()
        assert assignment.run_id == goes
        await worker.complete(assignment)
        shown = await api.get(waits)
        assert (shown.phase, shown.waits_for) == (run_pb2.RUN_PHASE_READY, "the end of its workflow's pause")
        for _ in range(2):
            await api.workflows.ResumeWorkflows(resume)
        (assignment,) = await worker.assigned()
        assert assignment.run_id == waits
        await worker.complete(assignment)
    assert not await _is_paused(api, task)


async def test_a_paused_queue_holds_back_its_runs_alone(api: Door, dispatcher: Door, task: str) -> None:
    """Whatever their workflow; it is listed with what waits in it, also before anything was submitted to it."""
    queue = f"queue-{mint_id()}"
    await api.workflows.PauseQueues(workflow_service_pb2.PauseQueuesRequest(names=[queue]))
    assert (await _queues(api))[queue] == (0, True)
    async with raw_worker(dispatcher, task) as worker:
        waits = await api.submit(submission(task, queue=queue), submission(task, queue=queue, priority=4))
        (goes,) = await api.submit(submission(task))
        (assignment,) = await worker.assigned()
        assert assignment.run_id == goes
        await worker.complete(assignment)
        assert (await _queues(api, page_size=1))[queue] == (2, True)
        assert {(await api.get(run_id)).waits_for for run_id in waits} == {"the end of its queue's pause"}
        await api.workflows.ResumeQueues(workflow_service_pb2.ResumeQueuesRequest(names=[queue]))
        assignments = await worker.assigned(2)
        assert {each.run_id for each in assignments} == set(waits)
        await worker.complete_all(assignments)
    assert (await _queues(api))[queue] == (0, False)


async def test_an_attempt_under_way_goes_on(api: Door, dispatcher: Door, task: str) -> None:
    """Its retry waits for the end of the pause."""
    retry = {"max_attempts": 2}
    async with raw_worker(dispatcher, task) as worker:
        (run_id,) = await api.submit(submission(task, retry=retry))
        (assignment,) = await worker.assigned()
        await api.workflows.PauseWorkflows(workflow_service_pb2.PauseWorkflowsRequest(names=[task]))
        await worker.fail(assignment, type="E")
        assert (await api.get(run_id)).status == run_pb2.RUN_STATUS_QUEUED
        await api.workflows.ResumeWorkflows(workflow_service_pb2.ResumeWorkflowsRequest(names=[task]))
        (again,) = await worker.assigned()
        assert (again.run_id, again.attempt) == (run_id, 2)
        await worker.complete(again)


@pytest.mark.parametrize("call", ["PauseWorkflows", "ResumeWorkflows", "PauseQueues", "ResumeQueues"])
@pytest.mark.parametrize(
    ("names", "field"), [([], "names"), (["a", "no such name"], "names[1]"), (["a"] * 1001, "names")]
)
async def test_wrong_names_are_refused(api: Door, call: str, names: list[str], field: str) -> None:
    """With the field."""
    request: Any = getattr(workflow_service_pb2, f"{call}Request")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await getattr(api.workflows, call)(request(names=names))
    detail = detail_of(raised.value)
    assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_INVALID_FIELD, field)


async def test_none_is_paused_where_one_is_unknown(api: Door, task: str) -> None:
    """The error names it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.workflows.PauseWorkflows(workflow_service_pb2.PauseWorkflowsRequest(names=[task, "nobody-has-it"]))
    detail = detail_of(raised.value)
    assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW, "names[1]")
    assert "nobody-has-it" in detail.message
    assert not await _is_paused(api, task)
