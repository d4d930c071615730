"""Owns `app.runs`: look at runs, wait for them, follow their streams, cancel and replay them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from windlass.bulk import CANCEL, REPLAY, BulkResult, RunFilter, list_runs
from windlass.exceptions import AlreadyExists, UnknownRun
from windlass.refs import WorkflowRunRef
from windlass.run import Run
from windlass.status import RunStatus
from windlass.stream_chunk import StreamChunk
from windlass.tailing import Tail
from windlass.v1 import run_service_pb2
from windlass.watching import RunWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from datetime import datetime

    from windlass.batch import KeyedRun
    from windlass.duration import Duration
    from windlass.run import RunState
    from windlass.transport.session import Api, ClientSession


class RunsClient:
    """Runs by id or filter. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def get(self, run_id: str) -> Run:
        """Give one run with its failures. Raises UnknownRun, ApiUnreachable."""
        return self._session.run_sync("runs.get", "runs.aio_get", lambda api: self._get(api, run_id))

    async def aio_get(self, run_id: str) -> Run:
        """Do as `get`."""
        return await self._session.run_async(lambda api: self._get(api, run_id))

    def get_status(self, run_id: str) -> RunStatus:
        """Ask how a run stands. Raises UnknownRun, ApiUnreachable."""
        return self._session.run_sync("runs.get_status", "runs.aio_get_status", lambda api: self._status(api, run_id))

    async def aio_get_status(self, run_id: str) -> RunStatus:
        """Do as `get_status`."""
        return await self._session.run_async(lambda api: self._status(api, run_id))

    def get_result(self, run_id: str, timeout: Duration | None = None) -> Any:
        """Wait for a run's end; gives its output as plain JSON values. Raises as `ref.result()` does."""
        return self.ref(run_id).result(timeout)

    async def aio_get_result(self, run_id: str, timeout: Duration | None = None) -> Any:
        """Do as `get_result`."""
        return await self.ref(run_id).aio_result(timeout)

    def list(
        self,
        *,
        statuses: Iterable[RunStatus] = (),
        workflow_names: Iterable[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        additional_metadata: Mapping[str, str] | None = None,
        limit: int = 50,
    ) -> Runs:
        """Give runs by submit time, newest first, without their failures.

        Args:
            statuses: only these; empty: all.
            workflow_names: only these; empty: all.
            since: submitted at or after; aware, or in local time.
            until: submitted before; aware, or in local time.
            additional_metadata: only runs with all these keys and values.
            limit: at most so many.

        """
        wanted = RunFilter(
            statuses=statuses,
            workflow_names=workflow_names,
            since=since,
            until=until,
            additional_metadata=additional_metadata,
        )
        return self._session.run_sync("runs.list", "runs.aio_list", lambda api: self._list(api, wanted, limit))

    async def aio_list(
        self,
        *,
        statuses: Iterable[RunStatus] = (),
        workflow_names: Iterable[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        additional_metadata: Mapping[str, str] | None = None,
        limit: int = 50,
    ) -> Runs:
        """Do as `list`."""
        wanted = RunFilter(
            statuses=statuses,
            workflow_names=workflow_names,
            since=since,
            until=until,
            additional_metadata=additional_metadata,
        )
        return await self._session.run_async(lambda api: self._list(api, wanted, limit))

    def cancel(self, run_id: str, reason: str = "") -> bool:
        """Cancel a run: at once what has not started; what runs is told.

        Returns:
            False where it had ended before, and nothing changed.

        Raises:
            UnknownRun: there is no such run.

        """
        return self._session.run_sync("runs.cancel", "runs.aio_cancel", lambda api: self._cancel(api, run_id, reason))

    async def aio_cancel(self, run_id: str, reason: str = "") -> bool:
        """Do as `cancel`."""
        return await self._session.run_async(lambda api: self._cancel(api, run_id, reason))

    def bulk_cancel(
        self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None, reason: str = ""
    ) -> BulkResult:
        """Cancel many runs: at once what has not started; what runs is told.

        Args:
            run_ids: these, of any number.
            filters: in place of ids: all that it means and that have not ended; not those that are submitted
                meanwhile.
            reason: for people.

        Returns:
            Outcomes "cancelled", "requested", "already_ended" or "unknown_run".

        Raises:
            InvalidInput: neither, or a filter without any condition and without `all=True`.

        """
        return self._session.run_sync(
            "runs.bulk_cancel",
            "runs.aio_bulk_cancel",
            lambda api: CANCEL.to(self._session, api, run_ids, filters, reason=reason),
        )

    async def aio_bulk_cancel(
        self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None, reason: str = ""
    ) -> BulkResult:
        """Do as `bulk_cancel`."""
        return await self._session.run_async(lambda api: CANCEL.to(self._session, api, run_ids, filters, reason=reason))

    def replay(self, run_id: str) -> bool:
        """Put a run that has ended back into its queue, under its own id, as it was submitted.

        Its attempts count from 1 again; its former errors stay, and its log and stream too. A result asked for from
        now on is that of its new end; a reference that has told its result keeps that one.

        Returns:
            False where it has not ended, and nothing changed.

        Raises:
            UnknownRun: there is no such run.
            AlreadyExists: its idempotency key counts until its end, and is another run's by now.

        """
        return self._session.run_sync("runs.replay", "runs.aio_replay", lambda api: self._replay(api, run_id))

    async def aio_replay(self, run_id: str) -> bool:
        """Do as `replay`."""
        return await self._session.run_async(lambda api: self._replay(api, run_id))

    def bulk_replay(self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None) -> BulkResult:
        """Replay many runs, each as `replay` does.

        Args:
            run_ids: these, of any number.
            filters: in place of ids: all that it means and that have ended.

        Returns:
            Outcomes "replayed", "already_replayed", "not_ended", "key_taken" or "unknown_run".

        Raises:
            InvalidInput: neither, or a filter without any condition and without `all=True`.

        """
        return self._session.run_sync(
            "runs.bulk_replay", "runs.aio_bulk_replay", lambda api: REPLAY.to(self._session, api, run_ids, filters)
        )

    async def aio_bulk_replay(
        self, run_ids: Iterable[str] | None = None, *, filters: RunFilter | None = None
    ) -> BulkResult:
        """Do as `bulk_replay`."""
        return await self._session.run_async(lambda api: REPLAY.to(self._session, api, run_ids, filters))

    def watch(self, run_ids: Iterable[str]) -> Iterator[RunState]:
        """Give how runs stand, each of them at first, then each again as it moves, until all have ended.

        What comes between two looks at a run is left out. Goes on by itself where the api was away.

        Raises:
            UnknownRun: the engine has no run of one of these ids.

        """
        watching = RunWatch(self._session, list(run_ids))
        try:
            while states := self._session.run_sync("runs.watch", "runs.aio_watch", watching.moved):
                yield from states
        finally:
            self._session.post(watching.close)

    async def aio_watch(self, run_ids: Iterable[str]) -> AsyncIterator[RunState]:
        """Do as `watch`."""
        watching = RunWatch(self._session, list(run_ids))
        try:
            while states := await self._session.run_async(watching.moved):
                for state in states:
                    yield state
        finally:
            self._session.post(watching.close)

    def subscribe_to_stream(self, run_id: str, offset: int = 0) -> Iterator[StreamChunk]:
        """Give what the run's tasks put into its stream, from `offset` on and as it comes, until the run has ended.

        In order and without a gap but for chunks that were dropped, as a run keeps its last 1,000 and 1 MiB of
        them: the next one's offset tells how many. Goes on by itself where the api was away. Whoever stops and
        comes back goes on at the last chunk's offset + 1.

        Raises:
            UnknownRun: the engine has no such run.
            ApiUnreachable: no connection within the connect timeout.

        """
        return self._stream(run_id, offset).entries("runs.subscribe_to_stream", "runs.aio_subscribe_to_stream")

    def aio_subscribe_to_stream(self, run_id: str, offset: int = 0) -> AsyncIterator[StreamChunk]:
        """Do as `subscribe_to_stream`."""
        return self._stream(run_id, offset).aio_entries()

    def ref(self, run_id: str | KeyedRun) -> WorkflowRunRef[Any]:
        """Point at a run that was submitted elsewhere, or earlier. Asks nobody."""
        return WorkflowRunRef(self._session, self, run_id, from_json)

    def _stream(self, run_id: str, offset: int) -> Tail[StreamChunk]:
        request = run_service_pb2.SubscribeToStreamRequest(run_id=run_id, offset=offset)
        return Tail(self._session, request, lambda api: api.runs.SubscribeToStream, _chunks)

    async def _get(self, api: Api, run_id: str) -> Run:
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        return Run.from_proto((await self._session.unary(api.runs.GetRun, request)).run)

    async def _status(self, api: Api, run_id: str) -> RunStatus:
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        return RunStatus.from_number((await self._session.unary(api.runs.GetRun, request)).run.status)

    async def _list(self, api: Api, wanted: RunFilter, limit: int) -> Runs:
        return [*map(Run.from_proto, await list_runs(self._session, api, wanted, limit))]

    async def _replay(self, api: Api, run_id: str) -> bool:
        outcome = (await REPLAY.to(self._session, api, [run_id], None)).outcomes[run_id]
        if outcome == "unknown_run":
            raise UnknownRun(f"the engine has no run {run_id}: it was never accepted, or has expired")
        if outcome == "key_taken":
            raise AlreadyExists(f"run {run_id} has an idempotency key that is another run's until that has ended")
        return outcome != "not_ended"

    async def _cancel(self, api: Api, run_id: str, reason: str) -> bool:
        request = run_service_pb2.CancelRunsRequest(run_ids=[run_id], reason=reason)
        outcome = (await self._session.unary(api.runs.CancelRuns, request)).outcomes[0]
        if outcome == run_service_pb2.CANCEL_OUTCOME_UNKNOWN_RUN:
            raise UnknownRun(f"the engine has no run {run_id}: it was never accepted, or has expired")
        return outcome != run_service_pb2.CANCEL_OUTCOME_ALREADY_ENDED


def _chunks(response: run_service_pb2.SubscribeToStreamResponse) -> list[StreamChunk]:
    return [
        StreamChunk.from_proto(number, chunk) for number, chunk in enumerate(response.chunks, response.first_offset)
    ]


Runs = list[Run]
