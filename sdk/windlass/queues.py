"""Owns `app.queues`: what waits in the queues, and pausing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from windlass.v1 import workflow_pb2, workflow_service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.transport.session import Api, ClientSession


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue: its ready runs that wait, over all workflows and priorities, and whether it is paused."""

    name: str
    queued_runs: int
    paused: bool

    @classmethod
    def from_proto(cls, queue: workflow_pb2.Queue) -> Self:
        """Read it from the wire."""
        return cls(queue.name, queue.queued_runs, queue.paused)


class QueuesClient:
    """The queues that runs are routed by. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def list(self) -> Queues:
        """Give the queues that have runs, finished ones too, or are paused, by name. Raises ApiUnreachable."""
        return self._session.run_sync("queues.list", "queues.aio_list", self._list)

    async def aio_list(self) -> Queues:
        """Do as `list`."""
        return await self._session.run_async(self._list)

    def pause(self, *names: str) -> None:
        """Start no run of these queues until `unpause`; what runs goes on. Needs the scope admin.

        Raises:
            InvalidInput: one can't be a queue's name, or there is none.
            MissingScope: the token does not allow it.

        """
        self._session.run_sync("queues.pause", "queues.aio_pause", lambda api: self._pause(api, names))

    async def aio_pause(self, *names: str) -> None:
        """Do as `pause`."""
        await self._session.run_async(lambda api: self._pause(api, names))

    def unpause(self, *names: str) -> None:
        """Let these queues go on. Raises as `pause`."""
        self._session.run_sync("queues.unpause", "queues.aio_unpause", lambda api: self._unpause(api, names))

    async def aio_unpause(self, *names: str) -> None:
        """Do as `unpause`."""
        await self._session.run_async(lambda api: self._unpause(api, names))

    async def _list(self, api: Api) -> Queues:
        request = workflow_service_pb2.ListQueuesRequest(page_size=1000)
        found = await self._session.listed(api.workflows.ListQueues, request, lambda page: page.queues)
        return [*map(QueueInfo.from_proto, found)]

    async def _pause(self, api: Api, names: Sequence[str]) -> None:
        request = workflow_service_pb2.PauseQueuesRequest(names=names)
        await self._session.unary(api.workflows.PauseQueues, request)

    async def _unpause(self, api: Api, names: Sequence[str]) -> None:
        request = workflow_service_pb2.ResumeQueuesRequest(names=names)
        await self._session.unary(api.workflows.ResumeQueues, request)


Queues = list[QueueInfo]
