"""Owns the schedule service's calls: crons, and runs that are still to come."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from windlass.v1 import (
    run_pb2,
    run_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    workflow_pb2,
)
from windlass_api.bulk import check_run_ids
from windlass_api.paging import page_size, wrong_token
from windlass_api.presentation import to_cron, to_run
from windlass_api.scheduled_listing import list_scheduled
from windlass_core.crons import submission_of
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.cron_spec import check_cron, check_cron_id
from windlass_core.domain.errors import AlreadyExists, InvalidField, NotFound, StoreUnavailable, UnknownWorkflow
from windlass_core.domain.limits import check_count
from windlass_core.domain.names import check_run_id
from windlass_core.domain.placement import NO_HOME, Home
from windlass_core.named_limits import NamedLimits
from windlass_core.rpc.guard import caller
from windlass_core.rpc.portion import PORTION_BYTES
from windlass_core.rpc.status import unary
from windlass_core.store.crons import StoredCron, Switch, Switched
from windlass_core.store.runs import StoredRun
from windlass_core.store.scheduled import Deleted
from windlass_core.store.shard import Shard
from windlass_core.submission import check_submission

# With their inputs: they are all in memory at once.
_CHUNK = 100
# So often a change is decided anew when somebody else was first.
_TRIES = 5
_DELETED = "its scheduled run was deleted"

_OUTCOMES: dict[Switched, "schedule_service_pb2.CronOutcome.ValueType"] = {
    "done": schedule_service_pb2.CRON_OUTCOME_DONE,
    "already": schedule_service_pb2.CRON_OUTCOME_ALREADY,
    "unknown": schedule_service_pb2.CRON_OUTCOME_UNKNOWN_CRON,
    "declared": schedule_service_pb2.CRON_OUTCOME_DECLARED,
}
_DELETIONS: dict[Deleted, "schedule_service_pb2.ScheduledRunOutcome.ValueType"] = {
    "deleted": schedule_service_pb2.SCHEDULED_RUN_OUTCOME_DELETED,
    "late": schedule_service_pb2.SCHEDULED_RUN_OUTCOME_TOO_LATE,
    "unknown": schedule_service_pb2.SCHEDULED_RUN_OUTCOME_UNKNOWN_RUN,
}


class ScheduleService(schedule_service_pb2_grpc.ScheduleServiceServicer):
    """See schedule_service.proto."""

    def __init__(self, shard: Shard, definitions: DefinitionCache) -> None:
        self._shard = shard
        self._definitions = definitions
        self._limits = NamedLimits(shard.rate_limits)

    @override
    @unary
    async def CreateCron(
        self, request: schedule_service_pb2.CreateCronRequest, context: Any
    ) -> schedule_service_pb2.CreateCronResponse:
        """See schedule_service.proto."""
        namespace = caller().namespace
        cron = check_cron(request.spec, namespace, "spec")
        await self._try(namespace, cron.cron_id, request.spec)
        if await self._shard.crons.create(namespace, cron) == "taken":
            field = "spec.schedule.name"
            raise AlreadyExists(
                f"{field}: {cron.workflow} has a cron {cron.name!r} with another content: update it, or delete it",
                field,
            )
        return schedule_service_pb2.CreateCronResponse(cron=to_cron(await self._cron(cron.cron_id)))

    @override
    @unary
    async def GetCron(
        self, request: schedule_service_pb2.GetCronRequest, context: Any
    ) -> schedule_service_pb2.GetCronResponse:
        """See schedule_service.proto."""
        cron = await self._cron(check_cron_id(request.cron_id, "cron_id"))
        return schedule_service_pb2.GetCronResponse(cron=to_cron(cron))

    @override
    @unary
    async def ListCrons(
        self, request: schedule_service_pb2.ListCronsRequest, context: Any
    ) -> schedule_service_pb2.ListCronsResponse:
        """See schedule_service.proto."""
        namespace = caller().namespace
        most = page_size(request.page_size)
        if request.page_token.count("\n") not in (0, 2):
            raise wrong_token()
        places = await self._shard.crons.page(namespace, request.workflow_name, request.page_token, most + 1)
        shown: list[schedule_pb2.Cron] = []
        room, at = PORTION_BYTES, 0
        while at < min(most, len(places)) and room > 0:
            chunk = places[at : min(at + _CHUNK, most)]
            stored = await self._shard.crons.get(namespace, [cron_id for _, cron_id in chunk])
            for cron in stored:
                message = to_cron(cron) if cron else schedule_pb2.Cron()
                room -= message.ByteSize()
                if room < 0 and shown:
                    break
                at += 1
                if cron:  # else it was deleted just now
                    shown.append(message)
        return schedule_service_pb2.ListCronsResponse(
            crons=shown, next_page_token=places[at - 1][0] if at < len(places) else ""
        )

    @override
    @unary
    async def UpdateCron(
        self, request: schedule_service_pb2.UpdateCronRequest, context: Any
    ) -> schedule_service_pb2.UpdateCronResponse:
        """See schedule_service.proto."""
        namespace = caller().namespace
        cron_id = check_cron_id(request.cron_id, "cron_id")
        for _ in range(_TRIES):
            known = await self._cron(cron_id)
            if known.declared:
                raise InvalidField(
                    f"cron_id: the definition of {known.workflow} declares {cron_id}: change it there", "cron_id"
                )
            spec = _changed(schedule_pb2.CronSpec.FromString(known.body), request)
            cron = check_cron(spec, namespace, "spec")
            await self._try(namespace, cron_id, spec)
            if await self._shard.crons.change(namespace, known.revision, cron) == "changed":
                return schedule_service_pb2.UpdateCronResponse(cron=to_cron(await self._cron(cron_id)))
        raise StoreUnavailable(f"cron {cron_id} is being changed by others all the time")

    @override
    @unary
    async def DeleteCrons(
        self, request: schedule_service_pb2.DeleteCronsRequest, context: Any
    ) -> schedule_service_pb2.DeleteCronsResponse:
        """See schedule_service.proto."""
        outcomes = await self._switch("delete", request.cron_ids)
        return schedule_service_pb2.DeleteCronsResponse(outcomes=outcomes)

    @override
    @unary
    async def PauseCrons(
        self, request: schedule_service_pb2.PauseCronsRequest, context: Any
    ) -> schedule_service_pb2.PauseCronsResponse:
        """See schedule_service.proto."""
        outcomes = await self._switch("pause", request.cron_ids)
        return schedule_service_pb2.PauseCronsResponse(outcomes=outcomes)

    @override
    @unary
    async def ResumeCrons(
        self, request: schedule_service_pb2.ResumeCronsRequest, context: Any
    ) -> schedule_service_pb2.ResumeCronsResponse:
        """See schedule_service.proto."""
        outcomes = await self._switch("resume", request.cron_ids)
        return schedule_service_pb2.ResumeCronsResponse(outcomes=outcomes)

    @override
    @unary
    async def ListScheduledRuns(
        self, request: schedule_service_pb2.ListScheduledRunsRequest, context: Any
    ) -> schedule_service_pb2.ListScheduledRunsResponse:
        """See schedule_service.proto."""
        return await list_scheduled(self._shard, caller().namespace, request)

    @override
    @unary
    async def UpdateScheduledRun(
        self, request: schedule_service_pb2.UpdateScheduledRunRequest, context: Any
    ) -> schedule_service_pb2.UpdateScheduledRunResponse:
        """See schedule_service.proto."""
        namespace = caller().namespace
        run_id = check_run_id(request.run_id, "run_id")
        for _ in range(_TRIES):
            run = await self._run(run_id)
            outcome = await self._change(namespace, run, request)
            if outcome == "changed":
                return schedule_service_pb2.UpdateScheduledRunResponse(run=to_run(await self._run(run_id)))
            if outcome != "stale":
                raise _not_scheduled(run_id)
        raise StoreUnavailable(f"run {run_id} is being changed by others all the time")

    @override
    @unary
    async def DeleteScheduledRuns(
        self, request: schedule_service_pb2.DeleteScheduledRunsRequest, context: Any
    ) -> schedule_service_pb2.DeleteScheduledRunsResponse:
        """See schedule_service.proto."""
        run_ids = check_run_ids(request.run_ids)
        outcomes = await self._shard.scheduled.delete(caller().namespace, _DELETED, run_ids)
        return schedule_service_pb2.DeleteScheduledRunsResponse(outcomes=[_DELETIONS[each] for each in outcomes])

    async def _try(self, namespace: str, cron_id: str, spec: schedule_pb2.CronSpec) -> None:
        """Raises now what its ticks would come to nothing for."""
        await submission_of(self._definitions, self._limits, namespace, cron_id, spec, 0)

    async def _cron(self, cron_id: str) -> StoredCron:
        (cron,) = await self._shard.crons.get(caller().namespace, [cron_id])
        if cron is None:
            raise NotFound(f"cron_id: there is no cron {cron_id}", "cron_id")
        return cron

    async def _switch(self, how: Switch, cron_ids: Sequence[str]) -> list["schedule_service_pb2.CronOutcome.ValueType"]:
        check_count(cron_ids, "cron_ids")
        checked = [check_cron_id(cron_id, f"cron_ids[{i}]") for i, cron_id in enumerate(cron_ids)]
        return [_OUTCOMES[each] for each in await self._shard.crons.switch(caller().namespace, how, checked)]

    async def _run(self, run_id: str) -> StoredRun:
        (run,) = await self._shard.runs.get(caller().namespace, [run_id])
        if run is None:
            raise _not_scheduled(run_id)
        return run

    async def _change(
        self, namespace: str, run: StoredRun, request: schedule_service_pb2.UpdateScheduledRunRequest
    ) -> str:
        spec = run_pb2.RunSpec.FromString(run.spec)
        if not spec.run_at_ms:
            return "unknown"
        if request.HasField("run_at_ms"):
            if request.run_at_ms <= 0:
                raise InvalidField(
                    f"run_at_ms: expected milliseconds since 1970 UTC, got {request.run_at_ms}", "run_at_ms"
                )
            spec.run_at_ms = request.run_at_ms
        if request.HasField("input_json"):
            spec.input_json = request.input_json
        definition = await self._definitions.version(namespace, spec.workflow_name, run.version)
        if definition is None:
            raise UnknownWorkflow(f"run_id: nobody has registered {spec.workflow_name!r}", "run_id")
        submission = run_service_pb2.RunSubmission(run_id=run.run_id, spec=spec)
        home = await self._home_of(run) if spec.placement.sticky else NO_HOME
        check = partial(
            check_submission, submission, definition, namespace=namespace, wait=False, path="run", home=home
        )
        changed = await self._limits.check_with(namespace, definition, check)
        return await self._shard.scheduled.change(namespace, run.spec, changed)

    async def _home_of(self, run: StoredRun) -> Home:
        """Where its parent was when it was submitted."""
        worker, hard = await self._shard.runs.bound_to(run.flow)
        return Home(worker, workflow_pb2.STICKY_HARD if hard else workflow_pb2.STICKY_SOFT)


def _changed(spec: schedule_pb2.CronSpec, request: schedule_service_pb2.UpdateCronRequest) -> schedule_pb2.CronSpec:
    for field, value in request.ListFields():
        if field.name in spec.schedule.DESCRIPTOR.fields_by_name:
            setattr(spec.schedule, field.name, value)
        elif field.name in spec.DESCRIPTOR.fields_by_name:
            setattr(spec, field.name, value)
    return spec


def _not_scheduled(run_id: str) -> NotFound:
    return NotFound(f"run_id: {run_id} is no run that is still to come: it never was, or its time has come", "run_id")
