"""The workflow service's calls, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, submission, workflow
from windlass.v1 import error_pb2, workflow_service_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door


async def test_a_registered_workflow_is_shown(api: Door, task: str) -> None:
    """With its version, its age, and what waits for it."""
    await api.submit(submission(task), submission(task, queue="other"), submission(task, priority=4))
    shown = (await api.workflows.GetWorkflow(workflow_service_pb2.GetWorkflowRequest(name=task))).workflow
    assert shown.definition == workflow(task)
    assert (len(shown.version), shown.queued_runs, shown.workers) == (16, 3, 0)
    assert shown.registered_at_ms > 0


async def test_registering_again_changes_nothing(api: Door, task: str) -> None:
    """Another content is another version, at once."""
    get = workflow_service_pb2.GetWorkflowRequest(name=task)
    first = (await api.workflows.GetWorkflow(get)).workflow
    await api.register(task)
    assert (await api.workflows.GetWorkflow(get)).workflow == first
    await api.register(task, execution_timeout_ms=5)
    assert (await api.workflows.GetWorkflow(get)).workflow.version != first.version


async def test_workflows_are_listed_by_name_and_in_pages(api: Door) -> None:
    """Each once."""
    names = [f"listed-{mint_id()}" for _ in range(5)]
    await api.register(*names)
    request, listed = workflow_service_pb2.ListWorkflowsRequest(page_size=2), []
    while True:
        page = await api.workflows.ListWorkflows(request)
        listed += [shown.definition.name for shown in page.workflows]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert listed == sorted(set(listed))
    assert set(names) <= set(listed)


async def test_a_workflow_that_nobody_has_is_not_found(api: Door) -> None:
    """With the typed detail."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.workflows.GetWorkflow(workflow_service_pb2.GetWorkflowRequest(name="nobody-has-it"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW
