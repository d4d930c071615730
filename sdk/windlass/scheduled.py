"""Owns `app.scheduled`: runs that are still to come; make them, look at them, change and delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from pydantic_core import from_json

from windlass.cron import moment_ms
from windlass.exceptions import InvalidInput, NotFound
from windlass.priority import Priority
from windlass.run import to_moment
from windlass.status import RunStatus
from windlass.v1 import run_pb2, run_service_pb2, schedule_service_pb2

if TYPE_CHECKING:
    from datetime import datetime

    from windlass.calling import RunOptions, SubmitOptions
    from windlass.client import Windlass
    from windlass.refs import WorkflowRunRef
    from windlass.transport.session import Api, ClientSession


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A run that was scheduled for a time. Its id is the run's."""

    id: str
    workflow_name: str
    run_at: datetime
    input: Any
    additional_metadata: dict[str, Any]
    priority: Priority | None
    created_at: datetime
    status: RunStatus

    @classmethod
    def from_proto(cls, run: run_pb2.Run) -> Self:
        """Read it from the wire."""
        spec = run.spec
        return cls(
            id=run.run_id,
            workflow_name=spec.workflow_name,
            run_at=to_moment(spec.run_at_ms),
            input=from_json(spec.input_json or b"{}"),
            additional_metadata=from_json(spec.metadata_json or b"{}"),
            priority=Priority(spec.priority) if spec.priority else None,
            created_at=to_moment(run.created_at_ms),
            status=RunStatus.from_number(run.status),
        )


class ScheduledClient:
    """Runs that are still to come. Every method has an `aio_` twin. Changing them needs the scope schedule."""

    def __init__(self, app: Windlass, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._app = app
        self._session = session

    def create(
        self, workflow_name: str, run_at: datetime, input: Any = None, **options: Unpack[SubmitOptions]
    ) -> WorkflowRunRef[Any]:
        """Schedule one run by the task's name alone; `task.schedule` does it for a task that is at hand.

        Args:
            workflow_name: the task's name.
            run_at: not before this time, of any time zone; one that has passed is at once.
            input: a dict is the input, a list its positional arguments; nothing is {}.
            options: see `SubmitOptions`; no delay.

        Raises:
            InvalidInput: the time has no zone, or the input does not fit; nothing was stored.
            UnknownTask: nobody has registered a task of that name.

        """
        caller, payload = self._app._by_name(workflow_name, input, cast("RunOptions", options))  # noqa: SLF001 - half of the same thing
        return self._app.runs.ref(caller.at(run_at).submit(payload))

    async def aio_create(
        self, workflow_name: str, run_at: datetime, input: Any = None, **options: Unpack[SubmitOptions]
    ) -> WorkflowRunRef[Any]:
        """Do as `create`."""
        caller, payload = self._app._by_name(workflow_name, input, cast("RunOptions", options))  # noqa: SLF001 - half of the same thing
        return self._app.runs.ref(await caller.at(run_at).aio_submit(payload))

    def get(self, run_id: str) -> ScheduledRun:
        """Give one, also when its time has come. Raises UnknownRun, and NotFound where it was never scheduled."""
        return self._session.run_sync("scheduled.get", "scheduled.aio_get", lambda api: self._get(api, run_id))

    async def aio_get(self, run_id: str) -> ScheduledRun:
        """Do as `get`."""
        return await self._session.run_async(lambda api: self._get(api, run_id))

    def list(
        self,
        workflow_name: str = "",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
    ) -> ScheduledRuns:
        """Give what is still to come, the next one first.

        Args:
            workflow_name: only this task's; empty: all.
            since: due at this time or later.
            until: due before this time.
            limit: at most so many.

        """
        request = _list_request(workflow_name, since, until)
        return self._session.run_sync(
            "scheduled.list", "scheduled.aio_list", lambda api: self._list(api, request, limit)
        )

    async def aio_list(
        self,
        workflow_name: str = "",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
    ) -> ScheduledRuns:
        """Do as `list`."""
        request = _list_request(workflow_name, since, until)
        return await self._session.run_async(lambda api: self._list(api, request, limit))

    def update(self, run_id: str, *, run_at: datetime | None = None, input: Any = None) -> ScheduledRun:
        """Give a run another time or another input before its time has come.

        Raises:
            InvalidInput: neither is given, the time has no zone, or the input does not fit.
            NotFound: it was never scheduled, or its time has come.

        """
        request = _update_request(run_id, run_at, input)
        return self._session.run_sync(
            "scheduled.update", "scheduled.aio_update", lambda api: self._update(api, request, input)
        )

    async def aio_update(self, run_id: str, *, run_at: datetime | None = None, input: Any = None) -> ScheduledRun:
        """Do as `update`."""
        request = _update_request(run_id, run_at, input)
        return await self._session.run_async(lambda api: self._update(api, request, input))

    def delete(self, run_id: str) -> bool:
        """Cancel a run before its time has come. Gives False where it is too late. Raises NotFound."""
        return self._session.run_sync("scheduled.delete", "scheduled.aio_delete", lambda api: self._delete(api, run_id))

    async def aio_delete(self, run_id: str) -> bool:
        """Do as `delete`."""
        return await self._session.run_async(lambda api: self._delete(api, run_id))

    async def _get(self, api: Api, run_id: str) -> ScheduledRun:
        run = (await self._session.unary(api.runs.GetRun, run_service_pb2.GetRunRequest(run_id=run_id))).run
        if not run.spec.run_at_ms:
            raise NotFound(f"run {run_id} was never scheduled: see app.runs.get", field="run_id")
        return ScheduledRun.from_proto(run)

    async def _list(
        self, api: Api, request: schedule_service_pb2.ListScheduledRunsRequest, limit: int
    ) -> ScheduledRuns:
        found = await self._session.listed(api.schedules.ListScheduledRuns, request, lambda page: page.runs, limit)
        return [*map(ScheduledRun.from_proto, found)]

    async def _update(
        self, api: Api, request: schedule_service_pb2.UpdateScheduledRunRequest, value: Any
    ) -> ScheduledRun:
        if value is not None:
            known = await self._get(api, request.run_id)
            request.input_json = self._app._written(known.workflow_name, value)[1]  # noqa: SLF001 - half of the same thing
        answer = await self._session.unary(api.schedules.UpdateScheduledRun, request)
        return ScheduledRun.from_proto(answer.run)

    async def _delete(self, api: Api, run_id: str) -> bool:
        request = schedule_service_pb2.DeleteScheduledRunsRequest(run_ids=[run_id])
        outcome = (await self._session.unary(api.schedules.DeleteScheduledRuns, request)).outcomes[0]
        if outcome == schedule_service_pb2.SCHEDULED_RUN_OUTCOME_UNKNOWN_RUN:
            raise NotFound(f"run {run_id} was never scheduled", field="run_id")
        return outcome == schedule_service_pb2.SCHEDULED_RUN_OUTCOME_DELETED


ScheduledRuns = list[ScheduledRun]


def _list_request(
    workflow_name: str, since: datetime | None, until: datetime | None
) -> schedule_service_pb2.ListScheduledRunsRequest:
    return schedule_service_pb2.ListScheduledRunsRequest(
        workflow_name=workflow_name,
        since_ms=0 if since is None else moment_ms(since, "since"),
        until_ms=0 if until is None else moment_ms(until, "until"),
    )


def _update_request(run_id: str, run_at: datetime | None, value: Any) -> schedule_service_pb2.UpdateScheduledRunRequest:
    if run_at is None and value is None:
        raise InvalidInput("scheduled.update: run_at=, input= or both were expected")
    run_at_ms = None if run_at is None else moment_ms(run_at, "run_at")
    return schedule_service_pb2.UpdateScheduledRunRequest(run_id=run_id, run_at_ms=run_at_ms)
