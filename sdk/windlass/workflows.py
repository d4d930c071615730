"""Owns `app.workflows`: look at what is registered, and pause it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.run import WorkflowInfo
from windlass.v1 import workflow_service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.transport.session import Api, ClientSession


class WorkflowsClient:
    """Registered workflows. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def get(self, name: str) -> WorkflowInfo:
        """Give a workflow's current version. Raises UnknownTask, ApiUnreachable."""
        return self._session.run_sync("workflows.get", "workflows.aio_get", lambda api: self._get(api, name))

    async def aio_get(self, name: str) -> WorkflowInfo:
        """Do as `get`."""
        return await self._session.run_async(lambda api: self._get(api, name))

    def list(self) -> Workflows:
        """Give all workflows by name. Raises ApiUnreachable."""
        return self._session.run_sync("workflows.list", "workflows.aio_list", self._list)

    async def aio_list(self) -> Workflows:
        """Do as `list`."""
        return await self._session.run_async(self._list)

    def pause(self, *names: str) -> None:
        """Start no run of these workflows until `unpause`; what runs goes on. Needs the scope admin.

        Raises:
            UnknownTask: nobody has registered one of them; none is paused.
            MissingScope: the token does not allow it.

        """
        self._session.run_sync("workflows.pause", "workflows.aio_pause", lambda api: self._pause(api, names))

    async def aio_pause(self, *names: str) -> None:
        """Do as `pause`."""
        await self._session.run_async(lambda api: self._pause(api, names))

    def unpause(self, *names: str) -> None:
        """Let these workflows go on. Raises as `pause`."""
        self._session.run_sync("workflows.unpause", "workflows.aio_unpause", lambda api: self._unpause(api, names))

    async def aio_unpause(self, *names: str) -> None:
        """Do as `unpause`."""
        await self._session.run_async(lambda api: self._unpause(api, names))

    async def _pause(self, api: Api, names: Sequence[str]) -> None:
        request = workflow_service_pb2.PauseWorkflowsRequest(names=names)
        await self._session.unary(api.workflows.PauseWorkflows, request)

    async def _unpause(self, api: Api, names: Sequence[str]) -> None:
        request = workflow_service_pb2.ResumeWorkflowsRequest(names=names)
        await self._session.unary(api.workflows.ResumeWorkflows, request)

    async def _get(self, api: Api, name: str) -> WorkflowInfo:
        request = workflow_service_pb2.GetWorkflowRequest(name=name)
        return WorkflowInfo.from_proto((await self._session.unary(api.workflows.GetWorkflow, request)).workflow)

    async def _list(self, api: Api) -> Workflows:
        request = workflow_service_pb2.ListWorkflowsRequest(page_size=1000)
        found = await self._session.listed(api.workflows.ListWorkflows, request, lambda page: page.workflows)
        return [*map(WorkflowInfo.from_proto, found)]


Workflows = list[WorkflowInfo]
