"""Owns the api's process: its doors, and the loops behind them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from typing_extensions import override

from windlass.v1 import (
    rate_limit_service_pb2_grpc,
    run_service_pb2_grpc,
    schedule_service_pb2_grpc,
    system_service_pb2_grpc,
    token_service_pb2_grpc,
    worker_service_pb2_grpc,
    workflow_service_pb2_grpc,
)
from windlass_api.following import Following
from windlass_api.rate_limits import RateLimitService
from windlass_api.runs import RunService
from windlass_api.schedules import ScheduleService
from windlass_api.session import Bounds
from windlass_api.submits import Submits
from windlass_api.system import SystemService
from windlass_api.tokens import TokenService
from windlass_api.waiting import Waiting
from windlass_api.workers import WorkerService
from windlass_api.workflows import WorkflowService
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import ShuttingDown, StoreUnavailable
from windlass_core.http_door import Readiness
from windlass_core.metrics import Metrics
from windlass_core.pump import Backoff, Hold
from windlass_core.rpc.places import Places
from windlass_core.service import Service
from windlass_core.settings import ApiSettings

_log = structlog.get_logger(__name__)

OUTBOX_AT_ONCE = 500


class Api(Service):
    """One replica."""

    name = "api"
    grpc_services = (
        "windlass.v1.RunService",
        "windlass.v1.WorkflowService",
        "windlass.v1.ScheduleService",
        "windlass.v1.RateLimitService",
        "windlass.v1.WorkerService",
        "windlass.v1.TokenService",
        "windlass.v1.SystemService",
    )

    def __init__(self, settings: ApiSettings) -> None:
        connection_age_s = settings.connection_age.total_seconds()
        super().__init__(settings, settings.listen, settings.http_listen, connection_age_s)
        self._definitions = DefinitionCache(self.shard.definitions)
        self._waiting = Waiting(self.shard, self.inc)
        self._following = Following(self.shard.runs, self.inc, self._waiting)
        # What clients have submitted, and the store does not have yet.
        self._unstored = Hold(settings.max_unstored_bytes)
        self._submits = self._make_submits()
        most = settings.max_streams
        # Of clients, and of whatever kind.
        self._streams = Places(most, f"this api serves {most} streams already (WINDLASS_MAX_STREAMS)")
        self._runs = RunService(
            self.shard.runs,
            self._submits,
            self._waiting,
            self._following,
            self._definitions,
            self.shard.gates,
            Bounds(settings.max_unread_bytes, settings.unread_timeout.total_seconds()),
            self._streams,
            connection_age_s=connection_age_s,
        )
        self._box_lost = asyncio.Event()
        server = self.server.grpc
        run_service_pb2_grpc.add_RunServiceServicer_to_server(self._runs, server)
        workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(
            WorkflowService(self.shard, self._definitions), server
        )
        schedule_service_pb2_grpc.add_ScheduleServiceServicer_to_server(
            ScheduleService(self.shard, self._definitions), server
        )
        rate_limit_service_pb2_grpc.add_RateLimitServiceServicer_to_server(
            RateLimitService(self.shard.rate_limits), server
        )
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerService(self.shard), server)
        token_service_pb2_grpc.add_TokenServiceServicer_to_server(TokenService(self.shard.tokens), server)
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(SystemService(self.shard), server)

    def _make_submits(self) -> Submits:
        return Submits(self.shard, self.inc, self._definitions, self._unstored, self.observation.metrics)

    @override
    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """See Service."""
        return [self._submits.run, self._outbox, self._ask_again]

    @override
    async def readiness(self) -> Readiness:
        """See Service."""
        alive = await self.shard.processes.alive("dispatcher")
        return Readiness() if alive else Readiness(["no dispatcher is alive"])

    @override
    async def measure(self, metrics: Metrics) -> None:
        """See Service."""
        metrics.streams(self.name, self._streams.taken)

    @override
    async def on_box_lost(self) -> None:
        """Has all that is waited for asked for again, while the outbox is being read."""
        self._box_lost.set()

    @override
    async def leave(self) -> None:
        """Stores what was taken in, then sends the clients elsewhere."""
        await self.within_grace(self._submits.drained())
        error = ShuttingDown("this api is shutting down: connect to another")
        self._runs.end_sessions(error)
        self._following.end(error)

    async def _outbox(self) -> None:
        key = self.shard.keys.of("outbox", inc=self.inc)
        await self.read_box(key, OUTBOX_AT_ONCE, self._take)

    async def _take(self, entries: list[bytes]) -> None:
        if self._waiting.tell(entries, self._following.moved):
            await self.box_lost()

    async def _ask_again(self) -> None:
        backoff = Backoff()
        while True:
            await self._box_lost.wait()
            self._box_lost.clear()
            try:
                if await self._waiting.watch_all():
                    await self._submits.drained()  # some may not have been stored yet
                    await self._tell_of_lost_runs()
                await self._following.follow_all()
                backoff.reset()
            except StoreUnavailable as error:
                _log.warning("results not asked for, trying again", error=str(error))
                self._box_lost.set()
                await backoff.wait()

    async def _tell_of_lost_runs(self) -> None:
        """Who asks again hears which of the runs a store has lost that was set to lose some."""
        unknown = await self._waiting.watch_all()
        if unknown:
            _log.error("the store has lost runs that are waited for", runs=len(unknown))
            self._waiting.lose(unknown)
