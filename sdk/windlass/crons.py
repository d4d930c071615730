"""Owns `app.cron`: make crons by call, look at all of them, change, pause and delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, Unpack

from pydantic_core import from_json

from windlass.cron import CATCH_UPS, OVERLAPS, CatchUp, Cron, Overlap, check_choice, check_expression_shape
from windlass.exceptions import InvalidInput, NotFound, UnknownTask
from windlass.payload import write_metadata
from windlass.priority import Priority
from windlass.run import maybe_moment, to_moment
from windlass.v1 import schedule_pb2, schedule_service_pb2, workflow_pb2, workflow_service_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from windlass.transport.session import Api, ClientSession


class CronOptions(TypedDict, total=False):
    """What else can be said about a cron that is made by call.

    catch_up: ticks that were missed: "skip" (unless given), "one" or "all"; see `Cron`.
    overlap: ticks while a run is under way: "allow" (unless given), "skip" or "cancel_other"; see `Cron`.
    additional_metadata: key-value pairs kept with each run, at most 64 KiB of JSON.
    priority: in place of the task's default.
    """

    catch_up: CatchUp
    overlap: Overlap
    additional_metadata: Mapping[str, Any] | None
    priority: Priority | None


class WritesInput(Protocol):
    """Checks and writes an input by what the app knows of a task, and gives its definition if it has one."""

    def __call__(self, name: str, value: Any, /) -> tuple[workflow_pb2.WorkflowDefinition | None, bytes]:
        """Raise InvalidInput where it does not fit."""


@dataclass(frozen=True, slots=True)
class CronInfo:
    """A cron as the engine keeps it. `declared` ones are a task's own, made by `on_crons`."""

    id: str
    name: str
    workflow_name: str
    expression: str
    timezone: str
    input: Any
    additional_metadata: dict[str, Any]
    priority: Priority | None
    catch_up: CatchUp
    overlap: Overlap
    declared: bool
    paused: bool
    created_at: datetime
    #: None while it is paused.
    next_at: datetime | None
    #: The last tick that was run, and its run.
    last_at: datetime | None
    last_run_id: str
    #: Why the last tick that was due came to nothing; "" where it was run.
    last_error: str
    last_error_at: datetime | None

    @classmethod
    def from_proto(cls, cron: schedule_pb2.Cron) -> Self:
        """Read it from the wire."""
        spec, schedule = cron.spec, cron.spec.schedule
        return cls(
            id=cron.cron_id,
            name=schedule.name,
            workflow_name=spec.workflow_name,
            expression=schedule.expression,
            timezone=schedule.timezone or "UTC",
            input=from_json(schedule.input_json or b"{}"),
            additional_metadata=from_json(spec.metadata_json or b"{}"),
            priority=Priority(spec.priority) if spec.priority else None,
            catch_up=CATCH_UPS[max(schedule.catch_up, 1) - 1],
            overlap=OVERLAPS[max(schedule.overlap, 1) - 1],
            declared=cron.declared,
            paused=cron.paused,
            created_at=to_moment(cron.created_at_ms),
            next_at=maybe_moment(cron.next_tick_ms),
            last_at=maybe_moment(cron.last_tick_ms),
            last_run_id=cron.last_run_id,
            last_error=cron.last_error,
            last_error_at=maybe_moment(cron.last_error_at_ms),
        )


class CronsClient:
    """Crons of the namespace. Every method has an `aio_` twin. Changing them needs the scope schedule."""

    def __init__(self, session: ClientSession, write_input: WritesInput) -> None:
        """Speak over the client's session."""
        self._session = session
        self._write_input = write_input

    def create(
        self,
        workflow_name: str,
        cron_name: str,
        expression: str,
        input: Any = None,
        timezone: str = "UTC",
        **how: Unpack[CronOptions],
    ) -> CronInfo:
        """Make a cron. The same again gives the one that is there.

        Args:
            workflow_name: the task's name.
            cron_name: unique among the task's crons that were made by call.
            expression: five fields (minute hour day month weekday), six (second first), or an alias.
            input: of each run: a dict is the input, a list its positional arguments; nothing is {}.
            timezone: an IANA zone.
            how: see `CronOptions`.

        Raises:
            InvalidInput: names the field that is wrong; nothing was stored.
            AlreadyExists: the name belongs to a cron with another content.
            UnknownTask: nobody has registered a task of that name.

        """
        call = self._creation(workflow_name, cron_name, expression, input, timezone, **how)
        return self._session.run_sync("cron.create", "cron.aio_create", lambda api: self._create(api, call))

    async def aio_create(
        self,
        workflow_name: str,
        cron_name: str,
        expression: str,
        input: Any = None,
        timezone: str = "UTC",
        **how: Unpack[CronOptions],
    ) -> CronInfo:
        """Do as `create`."""
        call = self._creation(workflow_name, cron_name, expression, input, timezone, **how)
        return await self._session.run_async(lambda api: self._create(api, call))

    def get(self, cron_id: str) -> CronInfo:
        """Give one cron. Raises NotFound."""
        return self._session.run_sync("cron.get", "cron.aio_get", lambda api: self._get(api, cron_id))

    async def aio_get(self, cron_id: str) -> CronInfo:
        """Do as `get`."""
        return await self._session.run_async(lambda api: self._get(api, cron_id))

    def list(self, workflow_name: str = "", *, limit: int = 1000) -> Crons:
        """Give crons by task and name: those that tasks declare, and those that were made by call.

        Args:
            workflow_name: only this task's; empty: all.
            limit: at most so many.

        """
        return self._session.run_sync("cron.list", "cron.aio_list", lambda api: self._list(api, workflow_name, limit))

    async def aio_list(self, workflow_name: str = "", *, limit: int = 1000) -> Crons:
        """Do as `list`."""
        return await self._session.run_async(lambda api: self._list(api, workflow_name, limit))

    def update(
        self,
        cron_id: str,
        *,
        expression: str | None = None,
        timezone: str | None = None,
        input: Any = None,
        catch_up: CatchUp | None = None,
        overlap: Overlap | None = None,
        additional_metadata: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> CronInfo:
        """Change what is given and nothing else; with other times the next tick is the first after now.

        Raises:
            InvalidInput: names the field that is wrong, or the task declares this cron: change it there.
            NotFound: there is no such cron.

        """
        call = _update(cron_id, expression, timezone, catch_up, overlap, additional_metadata, priority)
        return self._session.run_sync("cron.update", "cron.aio_update", lambda api: self._update(api, call, input))

    async def aio_update(
        self,
        cron_id: str,
        *,
        expression: str | None = None,
        timezone: str | None = None,
        input: Any = None,
        catch_up: CatchUp | None = None,
        overlap: Overlap | None = None,
        additional_metadata: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> CronInfo:
        """Do as `update`."""
        call = _update(cron_id, expression, timezone, catch_up, overlap, additional_metadata, priority)
        return await self._session.run_async(lambda api: self._update(api, call, input))

    def delete(self, cron_id: str) -> None:
        """Delete a cron; its runs go on. Raises NotFound, and InvalidInput for one that a task declares."""
        self._session.run_sync("cron.delete", "cron.aio_delete", lambda api: self._delete(api, cron_id))

    async def aio_delete(self, cron_id: str) -> None:
        """Do as `delete`."""
        await self._session.run_async(lambda api: self._delete(api, cron_id))

    def pause(self, cron_id: str) -> bool:
        """Let a cron rest: its ticks are passed over. Gives False where it did already. Raises NotFound."""
        return self._session.run_sync("cron.pause", "cron.aio_pause", lambda api: self._pause(api, cron_id))

    async def aio_pause(self, cron_id: str) -> bool:
        """Do as `pause`."""
        return await self._session.run_async(lambda api: self._pause(api, cron_id))

    def unpause(self, cron_id: str) -> bool:
        """Let a cron go on with the first tick after now. Gives False where it did not rest. Raises NotFound."""
        return self._session.run_sync("cron.unpause", "cron.aio_unpause", lambda api: self._resume(api, cron_id))

    async def aio_unpause(self, cron_id: str) -> bool:
        """Do as `unpause`."""
        return await self._session.run_async(lambda api: self._resume(api, cron_id))

    def _creation(
        self,
        workflow_name: str,
        cron_name: str,
        expression: str,
        value: Any,
        timezone: str,
        *,
        catch_up: CatchUp = "skip",
        overlap: Overlap = "allow",
        additional_metadata: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> _Creation:
        if not cron_name:
            raise InvalidInput("cron_name: a name was expected, by which the cron is known", field="cron_name")
        try:
            cron = Cron(expression, timezone, None, catch_up, overlap, cron_name)
        except (ValueError, TypeError) as error:
            raise InvalidInput(str(error)) from None
        definition, payload = self._write_input(workflow_name, value)
        spec = schedule_pb2.CronSpec(
            workflow_name=workflow_name,
            schedule=cron.to_proto(payload),
            metadata_json=write_metadata(additional_metadata),
            priority=_priority(priority),
        )
        return _Creation(spec, definition)

    async def _create(self, api: Api, call: _Creation) -> CronInfo:
        request = schedule_service_pb2.CreateCronRequest(spec=call.spec)
        try:
            answer = await self._session.unary(api.schedules.CreateCron, request)
        except UnknownTask:
            if call.definition is None:
                raise
            register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[call.definition])
            await self._session.unary(api.workflows.RegisterWorkflows, register)
            answer = await self._session.unary(api.schedules.CreateCron, request)
        return CronInfo.from_proto(answer.cron)

    async def _get(self, api: Api, cron_id: str) -> CronInfo:
        request = schedule_service_pb2.GetCronRequest(cron_id=cron_id)
        return CronInfo.from_proto((await self._session.unary(api.schedules.GetCron, request)).cron)

    async def _list(self, api: Api, workflow_name: str, limit: int) -> Crons:
        request = schedule_service_pb2.ListCronsRequest(workflow_name=workflow_name)
        found = await self._session.listed(api.schedules.ListCrons, request, lambda page: page.crons, limit)
        return [*map(CronInfo.from_proto, found)]

    async def _update(self, api: Api, request: schedule_service_pb2.UpdateCronRequest, value: Any) -> CronInfo:
        if value is not None:
            known = await self._get(api, request.cron_id)
            request.input_json = self._write_input(known.workflow_name, value)[1]
        return CronInfo.from_proto((await self._session.unary(api.schedules.UpdateCron, request)).cron)

    async def _delete(self, api: Api, cron_id: str) -> None:
        request = schedule_service_pb2.DeleteCronsRequest(cron_ids=[cron_id])
        _is_done(cron_id, (await self._session.unary(api.schedules.DeleteCrons, request)).outcomes[0])

    async def _pause(self, api: Api, cron_id: str) -> bool:
        request = schedule_service_pb2.PauseCronsRequest(cron_ids=[cron_id])
        return _is_done(cron_id, (await self._session.unary(api.schedules.PauseCrons, request)).outcomes[0])

    async def _resume(self, api: Api, cron_id: str) -> bool:
        request = schedule_service_pb2.ResumeCronsRequest(cron_ids=[cron_id])
        return _is_done(cron_id, (await self._session.unary(api.schedules.ResumeCrons, request)).outcomes[0])


@dataclass(frozen=True, slots=True)
class _Creation:
    """A cron to make, and the task's definition where this process has it."""

    spec: schedule_pb2.CronSpec
    definition: workflow_pb2.WorkflowDefinition | None


Crons = list[CronInfo]


def _update(
    cron_id: str,
    expression: str | None,
    timezone: str | None,
    catch_up: CatchUp | None,
    overlap: Overlap | None,
    metadata: Mapping[str, Any] | None,
    priority: Priority | None,
) -> schedule_service_pb2.UpdateCronRequest:
    request = schedule_service_pb2.UpdateCronRequest(cron_id=cron_id, expression=expression, timezone=timezone)
    try:
        if expression is not None:
            check_expression_shape(expression)
        if catch_up is not None:
            check_choice(catch_up, CATCH_UPS, "catch_up")
            request.catch_up = workflow_pb2.CatchUp.ValueType(CATCH_UPS.index(catch_up) + 1)
        if overlap is not None:
            check_choice(overlap, OVERLAPS, "overlap")
            request.overlap = workflow_pb2.Overlap.ValueType(OVERLAPS.index(overlap) + 1)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if metadata is not None:
        request.metadata_json = write_metadata(metadata)
    if priority is not None:
        request.priority = _priority(priority)
    return request


def _priority(priority: Priority | None) -> workflow_pb2.Priority.ValueType:
    try:
        return workflow_pb2.Priority.ValueType(0 if priority is None else Priority(priority))
    except ValueError as error:
        raise InvalidInput(f"priority: {error}", field="priority") from None


def _is_done(cron_id: str, outcome: schedule_service_pb2.CronOutcome.ValueType) -> bool:
    if outcome == schedule_service_pb2.CRON_OUTCOME_UNKNOWN_CRON:
        raise NotFound(f"there is no cron {cron_id}", field="cron_id")
    if outcome == schedule_service_pb2.CRON_OUTCOME_DECLARED:
        raise InvalidInput(f"a task declares cron {cron_id}: take it out of its on_crons, or pause it", field="cron_id")
    return outcome == schedule_service_pb2.CRON_OUTCOME_DONE
