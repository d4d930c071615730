"""The schedule service's calls, against real processes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, raw_worker, submission, workflow
from windlass.v1 import (
    error_pb2,
    run_pb2,
    run_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    workflow_pb2,
    workflow_service_pb2,
)
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door

DONE, ALREADY = schedule_service_pb2.CRON_OUTCOME_DONE, schedule_service_pb2.CRON_OUTCOME_ALREADY
UNKNOWN, DECLARED = schedule_service_pb2.CRON_OUTCOME_UNKNOWN_CRON, schedule_service_pb2.CRON_OUTCOME_DECLARED
FAR_MS = 4_000_000_000_000


def _spec(task: str, expression: str = "@daily", name: str = "nightly", **fields: Any) -> schedule_pb2.CronSpec:
    schedule = workflow_pb2.CronDefinition(name=name, expression=expression, **fields)
    return schedule_pb2.CronSpec(workflow_name=task, schedule=schedule)


async def _create(api: Door, spec: schedule_pb2.CronSpec) -> schedule_pb2.Cron:
    answer = await api.schedules.CreateCron(schedule_service_pb2.CreateCronRequest(spec=spec))
    cron: schedule_pb2.Cron = answer.cron
    return cron


async def _get(api: Door, cron_id: str) -> schedule_pb2.Cron:
    cron: schedule_pb2.Cron = (await api.schedules.GetCron(schedule_service_pb2.GetCronRequest(cron_id=cron_id))).cron
    return cron


async def _listed(api: Door, task: str, page_size: int = 0) -> list[schedule_pb2.Cron]:
    request, crons = schedule_service_pb2.ListCronsRequest(workflow_name=task, page_size=page_size), []
    while True:
        page = await api.schedules.ListCrons(request)
        crons += page.crons
        if not page.next_page_token:
            return crons
        request.page_token = page.next_page_token


async def _refused(call: Any) -> error_pb2.ErrorDetail:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return detail_of(raised.value)


async def test_a_cron_is_made_shown_and_listed(api: Door, task: str) -> None:
    """With the tick that comes next, in its zone."""
    made = await _create(api, _spec(task, "30 3 * * *", timezone="Asia/Kolkata", input_json=b'{"a":1}'))
    assert made == await _get(api, made.cron_id)
    assert await _listed(api, task) == [made]
    assert not made.declared
    assert not made.paused
    assert 0 < made.next_tick_ms - made.created_at_ms <= 24 * 3_600_000
    assert made.next_tick_ms % (24 * 3_600_000) == 22 * 3_600_000
    assert (made.last_tick_ms, made.last_run_id, made.last_error) == (0, "", "")


async def test_the_same_cron_again_is_the_same(api: Door, task: str) -> None:
    """With another content its name is taken."""
    made = await _create(api, _spec(task))
    assert await _create(api, _spec(task)) == made
    detail = await _refused(_create(api, _spec(task, "@hourly")))
    assert detail.reason == error_pb2.ERROR_REASON_ALREADY_EXISTS
    assert detail.field == "spec.schedule.name"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"expression": "61 * * * *"}, "schedule.expression"),
        ({"expression": "0 0 31 2 *"}, "schedule.expression"),
        ({"expression": ""}, "schedule.expression"),
        ({"timezone": "Europe/Berlln"}, "schedule.timezone"),
        ({"input_json": b"{"}, "schedule.input_json"),
        ({"name": "a\nb"}, "schedule.name"),
        ({"catch_up": 9}, "schedule.catch_up"),
        ({"overlap": 9}, "schedule.overlap"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_kept(
    api: Door, task: str, fields: dict[str, Any], field: str
) -> None:
    """At the call."""
    detail = await _refused(_create(api, _spec(task, **fields)))
    assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_INVALID_FIELD, f"spec.{field}")
    assert await _listed(api, task) == []


async def test_what_nobody_has_registered_has_no_cron(api: Door) -> None:
    """Nor do metadata that are no object, or an unknown priority."""
    detail = await _refused(_create(api, _spec("nobody-has-it")))
    assert detail.reason == error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW


async def test_a_cron_is_changed_in_part(api: Door, task: str) -> None:
    """What is not given stays; a wrong value changes nothing."""
    made = await _create(api, _spec(task, input_json=b'{"a":1}', timezone="Asia/Tokyo"))
    update = schedule_service_pb2.UpdateCronRequest(
        cron_id=made.cron_id,
        expression="@hourly",
        timezone="",
        metadata_json=b'{"k":1}',
        priority=workflow_pb2.PRIORITY_CRITICAL,
    )
    changed = (await api.schedules.UpdateCron(update)).cron
    schedule = changed.spec.schedule
    assert (schedule.expression, schedule.timezone, schedule.input_json) == ("@hourly", "", b'{"a":1}')
    assert (changed.spec.metadata_json, changed.spec.priority) == (b'{"k":1}', 4)
    assert 0 < changed.next_tick_ms - changed.created_at_ms < 3_700_000
    for wrong in ({"expression": "x"}, {"timezone": "x"}, {"metadata_json": b"1"}, {"priority": 7}):
        request = schedule_service_pb2.UpdateCronRequest(cron_id=made.cron_id, **wrong)
        assert (await _refused(api.schedules.UpdateCron(request))).reason == error_pb2.ERROR_REASON_INVALID_FIELD
    assert await _get(api, made.cron_id) == changed


async def test_a_cron_rests_goes_on_and_is_deleted(api: Door, task: str) -> None:
    """Each says when it was so already, or is not there."""
    made = await _create(api, _spec(task))
    pause = schedule_service_pb2.PauseCronsRequest(cron_ids=[made.cron_id])
    resume = schedule_service_pb2.ResumeCronsRequest(cron_ids=[made.cron_id])
    delete = schedule_service_pb2.DeleteCronsRequest(cron_ids=[made.cron_id])
    assert [*(await api.schedules.PauseCrons(pause)).outcomes] == [DONE]
    assert [*(await api.schedules.PauseCrons(pause)).outcomes] == [ALREADY]
    resting = await _get(api, made.cron_id)
    assert (resting.paused, resting.next_tick_ms) == (True, 0)
    assert [*(await api.schedules.ResumeCrons(resume)).outcomes] == [DONE]
    assert (await _get(api, made.cron_id)).next_tick_ms > 0
    assert [*(await api.schedules.DeleteCrons(delete)).outcomes] == [DONE]
    assert [*(await api.schedules.DeleteCrons(delete)).outcomes] == [UNKNOWN]
    get = schedule_service_pb2.GetCronRequest(cron_id=made.cron_id)
    assert (await _refused(api.schedules.GetCron(get))).reason == error_pb2.ERROR_REASON_NOT_FOUND


async def test_crons_are_listed_in_pages(api: Door) -> None:
    """By workflow and name; large ones make small pages."""
    tasks = sorted(f"task-{mint_id()}" for _ in range(2))
    await api.register(*tasks)
    large = json.dumps("x" * 900_000).encode()
    made = [await _create(api, _spec(t, name=str(i), input_json=large)) for t in tasks for i in range(4)]
    assert [cron.cron_id for t in tasks for cron in await _listed(api, t)] == [cron.cron_id for cron in made]
    assert await _listed(api, tasks[0], page_size=1) == made[:4]
    everything = [cron for cron in await _listed(api, "") if cron.spec.workflow_name in tasks]
    assert everything == made
    request = schedule_service_pb2.ListCronsRequest(page_token="x\ny")  # noqa: S106 - a place in a list
    assert (await _refused(api.schedules.ListCrons(request))).field == "page_token"


async def test_a_cron_of_every_second_runs(api: Door, dispatcher: Door, task: str) -> None:
    """A worker gets its runs; each says which cron and tick it is of."""
    async with raw_worker(dispatcher, task) as worker:
        made = await _create(api, _spec(task, "* * * * * *", input_json=b'{"a":1}'))
        attempts = await worker.assigned(2)
        specs = [attempt.spec for attempt in attempts]
        assert {spec.cron_id for spec in specs} == {made.cron_id}
        assert specs[1].tick_ms - specs[0].tick_ms == 1_000
        assert {spec.input_json for spec in specs} == {b'{"a":1}'}
        delete = schedule_service_pb2.DeleteCronsRequest(cron_ids=[made.cron_id])
        shown = await _get(api, made.cron_id)
        assert shown.last_tick_ms >= specs[1].tick_ms
        await api.schedules.DeleteCrons(delete)
        await worker.complete_all(attempts)


async def test_a_definition_brings_its_crons_and_takes_them_away(api: Door) -> None:
    """Named by their expressions where they have no names; they are the definition's to change."""
    name = f"task-{mint_id()}"
    definition = workflow(name)
    definition.crons.add(expression="0 9 * * *")
    definition.crons.add(name="often", expression="@hourly", timezone="Europe/Berlin")
    register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[definition])
    for _ in range(2):
        await api.workflows.RegisterWorkflows(register)
    crons = await _listed(api, name)
    assert [cron.spec.schedule.name for cron in crons] == ["0 9 * * *", "often"]
    assert all(cron.declared and cron.next_tick_ms for cron in crons)
    update = schedule_service_pb2.UpdateCronRequest(cron_id=crons[0].cron_id, expression="@daily")
    assert "change it there" in (await _refused(api.schedules.UpdateCron(update))).message
    delete = schedule_service_pb2.DeleteCronsRequest(cron_ids=[crons[0].cron_id])
    assert [*(await api.schedules.DeleteCrons(delete)).outcomes] == [DECLARED]
    await api.register(name)
    assert await _listed(api, name) == []


@pytest.mark.parametrize(
    ("cron", "field"),
    [
        ({"expression": "x"}, "crons[1].expression"),
        ({"expression": "@daily", "timezone": "x"}, "crons[1].timezone"),
        ({"expression": "@daily", "input_json": b"{"}, "crons[1].input_json"),
        ({"expression": "@hourly"}, "crons[1].name"),
    ],
)
async def test_a_definition_with_a_wrong_cron_is_refused(api: Door, cron: dict[str, Any], field: str) -> None:
    """Named by its place; also where two have one name."""
    definition = workflow(f"task-{mint_id()}")
    definition.crons.add(expression="@hourly")
    definition.crons.add(**cron)
    register = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[definition])
    assert (await _refused(api.workflows.RegisterWorkflows(register))).field == f"workflows[0].{field}"


async def test_scheduled_runs_are_listed_by_their_time(api: Door, task: str) -> None:
    """Of one workflow, of a time, in pages; runs with a delay are not among them."""
    at = FAR_MS + int(time.time())
    late, early = await api.submit(submission(task, run_at_ms=at + 5), submission(task, run_at_ms=at))
    await api.submit(submission(task, delay_ms=3_600_000), submission(task))

    async def listed(**filters: Any) -> list[str]:
        request = schedule_service_pb2.ListScheduledRunsRequest(workflow_name=task, page_size=1, **filters)
        found: list[str] = []
        while True:
            page = await api.schedules.ListScheduledRuns(request)
            found += [run.run_id for run in page.runs]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    assert await listed() == [early, late]
    assert await listed(since_ms=at + 1) == [late]
    assert await listed(until_ms=at + 5) == [early]
    run = await api.get(early)
    assert (run.phase, run.ready_at_ms) == (run_pb2.RUN_PHASE_SCHEDULED, at)


async def test_a_scheduled_run_is_changed_and_deleted_before_its_time(api: Door, dispatcher: Door, task: str) -> None:
    """And not after it."""
    first, second = await api.submit(*(submission(task, {"a": 1}, run_at_ms=FAR_MS) for _ in range(2)))
    update = schedule_service_pb2.UpdateScheduledRunRequest(run_id=first, input_json=b'{"a":2}')
    changed = (await api.schedules.UpdateScheduledRun(update)).run
    assert (changed.spec.input_json, changed.spec.run_at_ms) == (b'{"a":2}', FAR_MS)
    async with raw_worker(dispatcher, task) as worker:
        now = schedule_service_pb2.UpdateScheduledRunRequest(run_id=first, run_at_ms=1)
        await api.schedules.UpdateScheduledRun(now)
        (attempt,) = await worker.assigned()
        assert (attempt.run_id, attempt.spec.input_json) == (first, b'{"a":2}')
        assert (await _refused(api.schedules.UpdateScheduledRun(now))).reason == error_pb2.ERROR_REASON_NOT_FOUND
        await worker.complete(attempt)
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    delete = schedule_service_pb2.DeleteScheduledRunsRequest(run_ids=[first, second, unknown])
    assert [*(await api.schedules.DeleteScheduledRuns(delete)).outcomes] == [
        schedule_service_pb2.SCHEDULED_RUN_OUTCOME_TOO_LATE,
        schedule_service_pb2.SCHEDULED_RUN_OUTCOME_DELETED,
        schedule_service_pb2.SCHEDULED_RUN_OUTCOME_UNKNOWN_RUN,
    ]
    assert (await api.wait(second)).cancel_reason == "its scheduled run was deleted"


@pytest.mark.parametrize(
    ("change", "field"), [({"run_at_ms": -1}, "run_at_ms"), ({"input_json": b"{"}, "run.spec.input_json")]
)
async def test_a_scheduled_run_takes_no_wrong_change(api: Door, task: str, change: dict[str, Any], field: str) -> None:
    """It stays as it was."""
    (run,) = await api.submit(submission(task, run_at_ms=FAR_MS))
    before = await api.get(run)
    request = schedule_service_pb2.UpdateScheduledRunRequest(run_id=run, **change)
    assert (await _refused(api.schedules.UpdateScheduledRun(request))).field == field
    assert await api.get(run) == before


async def test_only_the_engine_names_crons(api: Door, task: str) -> None:
    """A caller's run is nobody's tick."""
    request = run_service_pb2.SubmitRunsRequest(runs=[submission(task, cron_id="cr_0")])
    (outcome,) = (await api.runs.SubmitRuns(request)).outcomes
    assert outcome.error.field == "runs[0].spec.cron_id"
