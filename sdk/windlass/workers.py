"""Owns `app.workers`: look at who is connected, and pause them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.run import WorkerInfo
from windlass.v1 import worker_service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.transport.session import Api, ClientSession


class WorkersClient:
    """Connected workers. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def get(self, worker_id: str) -> WorkerInfo:
        """Give one worker. Raises UnknownWorker, ApiUnreachable."""
        return self._session.run_sync("workers.get", "workers.aio_get", lambda api: self._get(api, worker_id))

    async def aio_get(self, worker_id: str) -> WorkerInfo:
        """Do as `get`."""
        return await self._session.run_async(lambda api: self._get(api, worker_id))

    def list(self) -> Workers:
        """Give all workers whose session has not expired, by name. Raises ApiUnreachable."""
        return self._session.run_sync("workers.list", "workers.aio_list", self._list)

    async def aio_list(self) -> Workers:
        """Do as `list`."""
        return await self._session.run_async(self._list)

    def pause(self, *worker_ids: str) -> None:
        """Give these workers no new work until `unpause`; they keep what they have. Needs the scope admin.

        Raises:
            UnknownWorker: one of them is not connected; none is paused.
            MissingScope: the token does not allow it.

        """
        self._session.run_sync("workers.pause", "workers.aio_pause", lambda api: self._pause(api, worker_ids))

    async def aio_pause(self, *worker_ids: str) -> None:
        """Do as `pause`."""
        await self._session.run_async(lambda api: self._pause(api, worker_ids))

    def unpause(self, *worker_ids: str) -> None:
        """Give these workers work again. Raises as `pause`."""
        self._session.run_sync("workers.unpause", "workers.aio_unpause", lambda api: self._unpause(api, worker_ids))

    async def aio_unpause(self, *worker_ids: str) -> None:
        """Do as `unpause`."""
        await self._session.run_async(lambda api: self._unpause(api, worker_ids))

    async def _pause(self, api: Api, worker_ids: Sequence[str]) -> None:
        request = worker_service_pb2.PauseWorkersRequest(worker_ids=worker_ids)
        await self._session.unary(api.workers.PauseWorkers, request)

    async def _unpause(self, api: Api, worker_ids: Sequence[str]) -> None:
        request = worker_service_pb2.ResumeWorkersRequest(worker_ids=worker_ids)
        await self._session.unary(api.workers.ResumeWorkers, request)

    async def _get(self, api: Api, worker_id: str) -> WorkerInfo:
        request = worker_service_pb2.GetWorkerRequest(worker_id=worker_id)
        return WorkerInfo.from_proto((await self._session.unary(api.workers.GetWorker, request)).worker)

    async def _list(self, api: Api) -> Workers:
        request = worker_service_pb2.ListWorkersRequest(page_size=1000)
        found = await self._session.listed(api.workers.ListWorkers, request, lambda page: page.workers)
        return [*map(WorkerInfo.from_proto, found)]


Workers = list[WorkerInfo]
