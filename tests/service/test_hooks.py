"""Hooks through the services, as a worker in any language serves them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.raw_client import raw_worker, submission
from windlass.v1 import dispatch_pb2, run_pb2, run_service_pb2, workflow_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door


@pytest.fixture
def name(task: str) -> str:
    """Give a workflow's name of which no other version is known."""
    return f"{task}.order"


def _order(name: str) -> workflow_pb2.WorkflowDefinition:
    return workflow_pb2.WorkflowDefinition(
        name=name,
        tasks=[workflow_pb2.TaskDefinition(name="work")],
        on_failure=workflow_pb2.TaskDefinition(name="alert", retry=workflow_pb2.RetryPolicy(max_attempts=2)),
        on_success=workflow_pb2.TaskDefinition(name="cheer"),
        output_by_task=True,
    )


async def test_a_completed_run_is_followed_by_its_hook(api: Door, dispatcher: Door, name: str) -> None:
    """Its output has the task's under its name, the hook is told it, and each run names the other."""
    async with raw_worker(dispatcher, _order(name)) as worker:
        (run_id,) = await api.submit(submission(name, {"id": 7}))
        (assignment,) = await worker.assigned()
        assert (assignment.task_name, assignment.spec.workflow_name) == ("work", name)
        await worker.complete(assignment, b'{"charged":true}')
        assert json.loads((await api.wait(run_id)).output_json) == {"work": {"charged": True}}
        (hook,) = await worker.assigned()
        assert (hook.task_name, hook.spec.workflow_name, hook.spec.hook.run_id) == ("cheer", name, run_id)
        assert json.loads(hook.spec.input_json) == {"id": 7}
        assert json.loads(hook.spec.hook.output_json) == {"work": {"charged": True}}
        await worker.complete(hook, b'"sent"')
        assert (await api.wait(hook.run_id)).output_json == b'"sent"'
    assert (await api.get(run_id)).hook_run_id == hook.run_id
    assert (await api.get(hook.run_id)).spec.hook.run_id == run_id


async def test_a_failed_run_s_hook_is_retried_by_its_own_policy(api: Door, dispatcher: Door, name: str) -> None:
    """And replayed as any other run is."""
    async with raw_worker(dispatcher, _order(name)) as worker:
        (run_id,) = await api.submit(submission(name))
        (assignment,) = await worker.assigned()
        await worker.fail(assignment, type="ValueError", message="no")
        (first,) = await worker.assigned()
        assert first.spec.hook.failures["work"].type == "ValueError"
        await worker.fail(first, type="OSError", message="nobody there")
        (hook,) = await worker.assigned()
        assert (hook.run_id, hook.task_name, hook.attempt, hook.max_attempts) == (first.run_id, "alert", 2, 2)
        await worker.fail(hook, type="OSError", message="nobody there")
        assert (await api.wait(hook.run_id)).status == run_pb2.RUN_STATUS_FAILED
        await api.runs.ReplayRuns(run_service_pb2.ReplayRunsRequest(run_ids=[hook.run_id]))
        (again,) = await worker.assigned()
        assert (again.run_id, again.task_name) == (hook.run_id, "alert")
        await worker.complete(again)
        assert (await api.wait(hook.run_id)).status == run_pb2.RUN_STATUS_COMPLETED
    assert (await api.wait(run_id)).status == run_pb2.RUN_STATUS_FAILED


async def test_a_result_that_comes_over_another_stream_is_told_by_task_too(
    api: Door, dispatcher: Door, name: str
) -> None:
    """The stream that delivered the attempt is not the one that it is reported on."""
    async with raw_worker(dispatcher, _order(name)) as first:
        (run_id,) = await api.submit(submission(name))
        (assignment,) = await first.assigned()
    async with raw_worker(dispatcher, _order(name), worker_id=first.worker_id) as second:
        done = dispatch_pb2.Completed(lease_id=assignment.lease_id, run_id=run_id, output_json=b"5")
        await second.send(report=dispatch_pb2.Report(completed=[done]))
        assert json.loads((await api.wait(run_id)).output_json) == {"work": 5}


async def test_a_task_may_have_another_name_than_its_workflow(api: Door, dispatcher: Door, name: str) -> None:
    """Without being asked for, its output is the run's."""
    definition = workflow_pb2.WorkflowDefinition(name=name, tasks=[workflow_pb2.TaskDefinition(name="work")])
    async with raw_worker(dispatcher, definition) as worker:
        (run_id,) = await api.submit(submission(name))
        (assignment,) = await worker.assigned()
        assert assignment.task_name == "work"
        await worker.complete(assignment, b"5")
        assert (await api.wait(run_id)).output_json == b"5"
