"""Owns the workflow service's calls: definitions, and pausing workflows and queues."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from windlass.v1 import worker_pb2, workflow_pb2, workflow_service_pb2, workflow_service_pb2_grpc
from windlass_api.paging import page_by_name
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import UnknownWorkflow
from windlass_core.domain.limits import check_count
from windlass_core.domain.names import check_name
from windlass_core.rpc.guard import caller
from windlass_core.rpc.status import unary
from windlass_core.store.shard import Shard


class WorkflowService(workflow_service_pb2_grpc.WorkflowServiceServicer):
    """See workflow_service.proto."""

    def __init__(self, shard: Shard, definitions: DefinitionCache) -> None:
        self._shard = shard
        self._definitions = definitions

    @override
    @unary
    async def RegisterWorkflows(
        self, request: workflow_service_pb2.RegisterWorkflowsRequest, context: Any
    ) -> workflow_service_pb2.RegisterWorkflowsResponse:
        """See workflow_service.proto."""
        check_count(request.workflows, "workflows")
        registered = await self._definitions.register(caller().namespace, request.workflows, "workflows")
        return workflow_service_pb2.RegisterWorkflowsResponse(
            versions=[definition.version for definition in registered]
        )

    @override
    @unary
    async def GetWorkflow(
        self, request: workflow_service_pb2.GetWorkflowRequest, context: Any
    ) -> workflow_service_pb2.GetWorkflowResponse:
        """See workflow_service.proto."""
        shown = await self._show(request.name, await self._served(), await self._paused_workflows())
        if shown is None:
            raise UnknownWorkflow(f"name: nobody has registered {request.name[:200]!r}", "name")
        return workflow_service_pb2.GetWorkflowResponse(workflow=shown)

    @override
    @unary
    async def ListWorkflows(
        self, request: workflow_service_pb2.ListWorkflowsRequest, context: Any
    ) -> workflow_service_pb2.ListWorkflowsResponse:
        """See workflow_service.proto."""
        known = await self._shard.definitions.names(caller().namespace)
        names, token = page_by_name(known, str, request.page_size, request.page_token)
        served, paused = await self._served(), await self._paused_workflows()
        shown = [await self._show(name, served, paused) for name in names]
        return workflow_service_pb2.ListWorkflowsResponse(
            workflows=[workflow for workflow in shown if workflow is not None], next_page_token=token
        )

    @override
    @unary
    async def PauseWorkflows(
        self, request: workflow_service_pb2.PauseWorkflowsRequest, context: Any
    ) -> workflow_service_pb2.PauseWorkflowsResponse:
        """See workflow_service.proto."""
        names = await self._check_registered(request.names)
        await self._shard.gates.pause(caller().namespace, workflows=names)
        return workflow_service_pb2.PauseWorkflowsResponse()

    @override
    @unary
    async def ResumeWorkflows(
        self, request: workflow_service_pb2.ResumeWorkflowsRequest, context: Any
    ) -> workflow_service_pb2.ResumeWorkflowsResponse:
        """See workflow_service.proto."""
        names = await self._check_registered(request.names)
        await self._shard.gates.resume(caller().namespace, workflows=names)
        return workflow_service_pb2.ResumeWorkflowsResponse()

    @override
    @unary
    async def ListQueues(
        self, request: workflow_service_pb2.ListQueuesRequest, context: Any
    ) -> workflow_service_pb2.ListQueuesResponse:
        """See workflow_service.proto."""
        namespace = caller().namespace
        paused = (await self._shard.gates.paused(namespace)).queues
        queued = dict.fromkeys(paused, 0) | await self._shard.figures.queued(namespace)
        names, token = page_by_name(sorted(queued), str, request.page_size, request.page_token)
        return workflow_service_pb2.ListQueuesResponse(
            queues=[workflow_pb2.Queue(name=name, queued_runs=queued[name], paused=name in paused) for name in names],
            next_page_token=token,
        )

    @override
    @unary
    async def PauseQueues(
        self, request: workflow_service_pb2.PauseQueuesRequest, context: Any
    ) -> workflow_service_pb2.PauseQueuesResponse:
        """See workflow_service.proto."""
        await self._shard.gates.pause(caller().namespace, queues=_check_names(request.names))
        return workflow_service_pb2.PauseQueuesResponse()

    @override
    @unary
    async def ResumeQueues(
        self, request: workflow_service_pb2.ResumeQueuesRequest, context: Any
    ) -> workflow_service_pb2.ResumeQueuesResponse:
        """See workflow_service.proto."""
        await self._shard.gates.resume(caller().namespace, queues=_check_names(request.names))
        return workflow_service_pb2.ResumeQueuesResponse()

    async def _check_registered(self, asked: Sequence[str]) -> list[str]:
        names = _check_names(asked)
        known = set(await self._shard.definitions.names(caller().namespace))
        for place, name in enumerate(names):
            if name not in known:
                field = f"names[{place}]"
                raise UnknownWorkflow(f"{field}: nobody has registered {name!r}", field)
        return names

    async def _paused_workflows(self) -> frozenset[str]:
        return (await self._shard.gates.paused(caller().namespace)).workflows

    async def _served(self) -> dict[str, int]:
        """How many workers can run each workflow."""
        return Counter(
            name
            for worker in await self._shard.workers.all(caller().namespace)
            for name in worker_pb2.Worker.FromString(worker.info).workflow_names
        )

    async def _show(self, name: str, served: dict[str, int], paused: frozenset[str]) -> workflow_pb2.Workflow | None:
        stored = await self._shard.definitions.current(caller().namespace, name)
        if stored is None:
            return None
        return workflow_pb2.Workflow(
            definition=workflow_pb2.WorkflowDefinition.FromString(stored.body),
            version=stored.version,
            registered_at_ms=stored.registered_ms,
            queued_runs=await self._shard.definitions.queued(caller().namespace, name),
            workers=served.get(name, 0),
            paused=name in paused,
        )


def _check_names(names: Sequence[str]) -> list[str]:
    check_count(names, "names")
    return [check_name(name, f"names[{place}]") for place, name in enumerate(names)]
