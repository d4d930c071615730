"""Owns the worker service's calls."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from windlass.v1 import worker_service_pb2, worker_service_pb2_grpc
from windlass_api.paging import page_size, read_place
from windlass_api.presentation import to_worker
from windlass_core.domain.errors import NoDispatcher, UnknownWorker
from windlass_core.domain.limits import check_count
from windlass_core.randomness import uniform
from windlass_core.rpc.guard import caller
from windlass_core.rpc.status import unary
from windlass_core.store.shard import Shard


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """See worker_service.proto."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @override
    @unary
    async def ListWorkers(
        self, request: worker_service_pb2.ListWorkersRequest, context: Any
    ) -> worker_service_pb2.ListWorkersResponse:
        """See worker_service.proto."""
        most = page_size(request.page_size)
        dispatchers = await self._shard.processes.alive("dispatcher")
        stored = await self._shard.workers.all(caller().namespace)
        workers = sorted(
            (to_worker(worker, dispatchers) for worker in stored),
            key=lambda worker: (worker.name, worker.worker_id),
        )
        first = read_place(request.page_token or "0")
        return worker_service_pb2.ListWorkersResponse(
            workers=workers[first : first + most],
            next_page_token=str(first + most) if len(workers) > first + most else "",
        )

    @override
    @unary
    async def GetWorker(
        self, request: worker_service_pb2.GetWorkerRequest, context: Any
    ) -> worker_service_pb2.GetWorkerResponse:
        """See worker_service.proto."""
        worker = await self._shard.workers.get(caller().namespace, request.worker_id)
        if worker is None:
            raise UnknownWorker(f"no worker {request.worker_id[:80]!r} is connected")
        dispatchers = await self._shard.processes.alive("dispatcher")
        return worker_service_pb2.GetWorkerResponse(worker=to_worker(worker, dispatchers))

    @override
    @unary
    async def PauseWorkers(
        self, request: worker_service_pb2.PauseWorkersRequest, context: Any
    ) -> worker_service_pb2.PauseWorkersResponse:
        """See worker_service.proto."""
        await self._pause(request.worker_ids, pause=True)
        return worker_service_pb2.PauseWorkersResponse()

    @override
    @unary
    async def ResumeWorkers(
        self, request: worker_service_pb2.ResumeWorkersRequest, context: Any
    ) -> worker_service_pb2.ResumeWorkersResponse:
        """See worker_service.proto."""
        await self._pause(request.worker_ids, pause=False)
        return worker_service_pb2.ResumeWorkersResponse()

    async def _pause(self, worker_ids: Sequence[str], *, pause: bool) -> None:
        check_count(worker_ids, "worker_ids")
        unknown = await self._shard.workers.pause(caller().namespace, list(worker_ids), pause=pause)
        if unknown:
            raise UnknownWorker(f"no worker {unknown[0][:80]!r} is connected")

    @override
    @unary
    async def ListDispatchers(
        self, request: worker_service_pb2.ListDispatchersRequest, context: Any
    ) -> worker_service_pb2.ListDispatchersResponse:
        """See worker_service.proto."""
        alive = await self._shard.processes.alive("dispatcher")
        if not alive:
            raise NoDispatcher("no dispatcher is alive; start one with `windlass dispatcher`")
        load = await self._shard.processes.loads("dispatcher")
        # Workers that come all at once see the same loads: chance spreads them over equals.
        incs = sorted(alive, key=lambda inc: (load.get(inc, 0), uniform()))
        return worker_service_pb2.ListDispatchersResponse(addresses=[alive[inc] for inc in incs])
