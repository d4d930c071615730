"""Owns the run service's calls, and opens sessions."""

import random
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import grpc
from typing_extensions import override

from windlass.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from windlass_api.bulk import ENDED, LIVE, act_on, check_run_ids
from windlass_api.following import Following
from windlass_api.listing import list_runs
from windlass_api.presentation import to_chunk, to_log_line, to_run
from windlass_api.session import Bounds, ClientSession, Context
from windlass_api.submits import Submits
from windlass_api.tailing import Kind
from windlass_api.waiting import Waiting
from windlass_api.watching import watch
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.access import CANCEL_BY_FILTER
from windlass_core.domain.errors import EngineError, InvalidField, TooMany, UnknownRun
from windlass_core.domain.limits import MAX_CHUNKS_PER_RUN, MAX_LOG_LINES_PER_RUN
from windlass_core.domain.names import check_run_id
from windlass_core.domain.phase import Phase
from windlass_core.failure import failure_message
from windlass_core.rpc.guard import caller
from windlass_core.rpc.places import Places
from windlass_core.rpc.portion import portion
from windlass_core.rpc.status import abort, refuse, streaming, unary
from windlass_core.store.gates import Gates
from windlass_core.store.runs import Runs

# A session ends when its connection takes no new calls any more, which gRPC varies by a tenth, and not
# all of them at once.
_OUTLIVES = (1.1, 1.3)
_MAX_REASON_BYTES = 1024
# Of a run that has failed often the latest failures are shown.
_FAILURE_BYTES = 1024 * 1024

_CANCEL_OUTCOMES = {
    "cancelled": run_service_pb2.CANCEL_OUTCOME_CANCELLED,
    "requested": run_service_pb2.CANCEL_OUTCOME_REQUESTED,
    "ended": run_service_pb2.CANCEL_OUTCOME_ALREADY_ENDED,
    "unknown": run_service_pb2.CANCEL_OUTCOME_UNKNOWN_RUN,
}
_REPLAY_OUTCOMES = {
    "replayed": run_service_pb2.REPLAY_OUTCOME_REPLAYED,
    "already": run_service_pb2.REPLAY_OUTCOME_ALREADY_REPLAYED,
    "not_ended": run_service_pb2.REPLAY_OUTCOME_NOT_ENDED,
    "not_failed": run_service_pb2.REPLAY_OUTCOME_NOT_FAILED,
    "key_taken": run_service_pb2.REPLAY_OUTCOME_KEY_TAKEN,
    "unknown": run_service_pb2.REPLAY_OUTCOME_UNKNOWN_RUN,
}
_DELETE_OUTCOMES = {
    "deleted": run_service_pb2.DELETE_OUTCOME_DELETED,
    "not_failed": run_service_pb2.DELETE_OUTCOME_NOT_FAILED,
    "unknown": run_service_pb2.DELETE_OUTCOME_UNKNOWN_RUN,
}


class RunService(run_service_pb2_grpc.RunServiceServicer):
    """See run_service.proto."""

    def __init__(
        self,
        runs: Runs,
        submits: Submits,
        waiting: Waiting,
        following: Following,
        definitions: DefinitionCache,
        gates: Gates,
        bounds: Bounds,
        places: Places,
        *,
        connection_age_s: float,
    ) -> None:
        self._runs = runs
        self._logs = Kind(runs.log_lines, to_log_line, MAX_LOG_LINES_PER_RUN)
        self._chunks = Kind(runs.chunks, to_chunk, MAX_CHUNKS_PER_RUN)
        self._submits = submits
        self._waiting = waiting
        self._following = following
        self._definitions = definitions
        self._gates = gates
        self._bounds = bounds
        self._places = places
        self._connection_age_s = connection_age_s
        self._sessions: set[ClientSession] = set()

    @property
    def unread_s(self) -> float:
        """See rpc.status.Patient."""
        return self._bounds.unread_s

    def end_sessions(self, error: EngineError) -> None:
        """Ends all sessions: the clients connect elsewhere."""
        for session in self._sessions:
            session.end(error)

    @override
    @unary
    async def SubmitRuns(
        self, request: run_service_pb2.SubmitRunsRequest, context: Any
    ) -> run_service_pb2.SubmitRunsResponse:
        """See run_service.proto."""
        await self._submits.room()
        outcomes = await self._submits.submit(caller().namespace, request.runs)
        return run_service_pb2.SubmitRunsResponse(outcomes=outcomes)

    @override
    @unary
    async def GetRun(self, request: run_service_pb2.GetRunRequest, context: Any) -> run_service_pb2.GetRunResponse:
        """See run_service.proto."""
        run_id = check_run_id(request.run_id, "run_id")
        run = (await self._runs.get(caller().namespace, [run_id]))[0]
        if run is None:
            raise UnknownRun(f"no run {run_id}")
        message = to_run(run)
        failures = await self._runs.failures(run_id)
        latest = portion((failure_message(f) for f in reversed(failures)), _FAILURE_BYTES)
        message.failures.extend(reversed(latest))
        message.failures_dropped = run.failures_dropped + len(failures) - len(latest)
        if run.phase is Phase.READY:
            message.waits_for = await self._gates.parked_at(run.flow, run.place)
        return run_service_pb2.GetRunResponse(run=message)

    @override
    @unary
    async def ListRuns(
        self, request: run_service_pb2.ListRunsRequest, context: Any
    ) -> run_service_pb2.ListRunsResponse:
        """See run_service.proto."""
        return await list_runs(self._runs, caller().namespace, request)

    @override
    @unary
    async def CancelRuns(
        self, request: run_service_pb2.CancelRunsRequest, context: Any
    ) -> run_service_pb2.CancelRunsResponse:
        """See run_service.proto."""
        if len(request.reason.encode()) > _MAX_REASON_BYTES:
            raise InvalidField(f"reason: over {_MAX_REASON_BYTES} bytes", "reason")
        if request.HasField("filter"):
            caller().check(CANCEL_BY_FILTER, "cancelling by a filter")
        namespace, reason = caller().namespace, request.reason or "cancelled by a caller"
        cancel = partial(self._runs.cancel, namespace, reason)
        acted = await act_on(request, cancel, self._runs, namespace, LIVE)
        return run_service_pb2.CancelRunsResponse(
            outcomes=[_CANCEL_OUTCOMES[outcome] for outcome in acted.outcomes],
            cancelled=acted.counts["cancelled"],
            requested=acted.counts["requested"],
            next_page_token=acted.next_page_token,
        )

    @override
    @unary
    async def ReplayRuns(
        self, request: run_service_pb2.ReplayRunsRequest, context: Any
    ) -> run_service_pb2.ReplayRunsResponse:
        """See run_service.proto."""
        namespace, dead_letter = caller().namespace, request.dead_letter
        replay = partial(self._runs.replay, namespace, only_failed=dead_letter)
        acted = await act_on(request, replay, self._runs, namespace, ENDED, dead_letter=dead_letter)
        return run_service_pb2.ReplayRunsResponse(
            outcomes=[_REPLAY_OUTCOMES[outcome] for outcome in acted.outcomes],
            replayed=acted.counts["replayed"],
            key_taken=acted.counts["key_taken"],
            next_page_token=acted.next_page_token,
        )

    @override
    @unary
    async def DeleteRuns(
        self, request: run_service_pb2.DeleteRunsRequest, context: Any
    ) -> run_service_pb2.DeleteRunsResponse:
        """See run_service.proto."""
        namespace = caller().namespace
        delete = partial(self._runs.delete, namespace)
        acted = await act_on(request, delete, self._runs, namespace, {Phase.FAILED}, dead_letter=True)
        return run_service_pb2.DeleteRunsResponse(
            outcomes=[_DELETE_OUTCOMES[outcome] for outcome in acted.outcomes],
            deleted=acted.counts["deleted"],
            next_page_token=acted.next_page_token,
        )

    @override
    @unary
    async def WaitResult(
        self, request: run_service_pb2.WaitResultRequest, context: Any
    ) -> run_service_pb2.WaitResultResponse:
        """See run_service.proto."""
        run_id = check_run_id(request.run_id, "run_id")
        timeout_s = request.timeout_ms / 1000 if request.timeout_ms else None
        result: run_pb2.RunResult | None = None
        try:
            result = await self._waiting.result(caller().namespace, run_id, timeout_s)
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"run {run_id} has not ended within {request.timeout_ms} ms; it goes on",
            )
        if result is None:
            raise UnknownRun(f"no run {run_id}")
        return run_service_pb2.WaitResultResponse(result=result)

    @override
    @unary
    async def ListLogs(
        self, request: run_service_pb2.ListLogsRequest, context: Any
    ) -> run_service_pb2.ListLogsResponse:
        """See run_service.proto."""
        run_id = check_run_id(request.run_id, "run_id")
        page = await self._logs.page(caller().namespace, run_id, request.offset, request.limit)
        return run_service_pb2.ListLogsResponse(
            lines=page.entries, first_offset=page.first_offset, next_offset=page.next_offset
        )

    @override
    @streaming
    async def TailLogs(
        self, request: run_service_pb2.TailLogsRequest, context: Any
    ) -> AsyncGenerator[run_service_pb2.TailLogsResponse, None]:
        """See run_service.proto."""
        run_id = check_run_id(request.run_id, "run_id")
        with self._places.one():
            async with self._following.follow(caller().namespace, [run_id]) as follower:
                async for page in self._logs.tail(self._runs, follower, run_id, request.offset):
                    yield run_service_pb2.TailLogsResponse(
                        lines=page.entries,
                        first_offset=page.first_offset,
                        next_offset=page.next_offset,
                        ended=page.ended,
                    )

    @override
    @streaming
    async def SubscribeToStream(
        self, request: run_service_pb2.SubscribeToStreamRequest, context: Any
    ) -> AsyncGenerator[run_service_pb2.SubscribeToStreamResponse, None]:
        """See run_service.proto."""
        run_id = check_run_id(request.run_id, "run_id")
        with self._places.one():
            async with self._following.follow(caller().namespace, [run_id]) as follower:
                async for page in self._chunks.tail(self._runs, follower, run_id, request.offset):
                    yield run_service_pb2.SubscribeToStreamResponse(
                        chunks=page.entries,
                        first_offset=page.first_offset,
                        next_offset=page.next_offset,
                        ended=page.ended,
                    )

    @override
    @streaming
    async def WatchRuns(
        self, request: run_service_pb2.WatchRunsRequest, context: Any
    ) -> AsyncGenerator[run_service_pb2.WatchRunsResponse, None]:
        """See run_service.proto."""
        run_ids = list(dict.fromkeys(check_run_ids(request.run_ids)))
        with self._places.one():
            async with self._following.follow(caller().namespace, run_ids) as follower:
                async for response in watch(self._runs, follower):
                    yield response

    @override
    async def Session(  # type: ignore[override]  # it reads and writes by itself
        self, request_iterator: Any, context: Context
    ) -> None:
        """See run_service.proto."""
        del request_iterator  # read through the context
        session = ClientSession(context, caller(), self._submits, self._waiting, self._definitions, self._bounds)
        try:
            with self._places.one():
                await self._serve(session)
        except TooMany as error:
            await refuse(context, error, reads=True)
        except EngineError as error:
            await abort(context, error)

    async def _serve(self, session: ClientSession) -> None:
        self._sessions.add(session)
        try:
            await session.run(self._connection_age_s * random.uniform(*_OUTLIVES))
        finally:
            self._sessions.discard(session)
