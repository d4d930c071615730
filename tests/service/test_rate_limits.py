"""Named rate limits: put, listed, deleted, and what they do to submits; against real processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import detail_of, raw_worker, submission
from windlass.v1 import (
    error_pb2,
    rate_limit_pb2,
    rate_limit_service_pb2,
    run_pb2,
    run_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    workflow_pb2,
)
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door

HOUR_MS = 3_600_000


async def _put(api: Door, key: str, **fields: Any) -> bool:
    given = {"limit": 5, "window_ms": HOUR_MS, **fields}
    setting = rate_limit_pb2.RateLimitSetting(key=key, **given)
    answer = await api.rate_limits.PutRateLimit(rate_limit_service_pb2.PutRateLimitRequest(limit=setting))
    return bool(answer.created)


async def _delete(api: Door, key: str) -> None:
    await api.rate_limits.DeleteRateLimit(rate_limit_service_pb2.DeleteRateLimitRequest(key=key))


async def _listed(api: Door, page_size: int = 1000) -> dict[str, rate_limit_pb2.RateLimitState]:
    found: list[rate_limit_pb2.RateLimitState] = []
    request = rate_limit_service_pb2.ListRateLimitsRequest(page_size=page_size)
    while True:
        page = await api.rate_limits.ListRateLimits(request)
        found += page.limits
        if not page.next_page_token:
            names = [state.setting.key for state in found]
            assert names == sorted(set(names))
            return {state.setting.key: state for state in found}
        request.page_token = page.next_page_token


async def _register(api: Door, task: str, **rate: Any) -> None:
    await api.register(task, rate_limits=[workflow_pb2.RateLimit(**rate)])


async def _outcome(api: Door, task: str, value: object = None) -> run_service_pb2.SubmitOutcome:
    request = run_service_pb2.SubmitRunsRequest(runs=[submission(task, value)])
    outcome: run_service_pb2.SubmitOutcome = (await api.runs.SubmitRuns(request)).outcomes[0]
    return outcome


async def test_a_limit_is_put_listed_replaced_and_deleted(api: Door) -> None:
    """In pages, by name."""
    keys = [f"limit-{mint_id()}" for _ in range(3)]
    assert [await _put(api, key) for key in keys] == [True] * 3
    assert not await _put(api, keys[0], limit=7, window_ms=1_000)
    listed = await _listed(api, page_size=2)
    assert set(keys) <= set(listed)
    setting = rate_limit_pb2.RateLimitSetting(key=keys[0], limit=7, window_ms=1_000)
    assert listed[keys[0]] == rate_limit_pb2.RateLimitState(setting=setting)
    for key in keys:
        await _delete(api, key)
    assert not set(keys) & set(await _listed(api))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": ""}, "limit.key"),
        ({"key": "no such name"}, "limit.key"),
        ({"limit": 0}, "limit.limit"),
        ({"limit": 10**12 + 1}, "limit.limit"),
        ({"window_ms": 999}, "limit.window_ms"),
        ({"window_ms": 367 * 24 * HOUR_MS}, "limit.window_ms"),
    ],
)
async def test_a_wrong_limit_is_refused(api: Door, fields: dict[str, Any], field: str) -> None:
    """With the field, and nothing is stored."""
    before = await _listed(api)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _put(api, **{"key": "fine", **fields})
    detail = detail_of(raised.value)
    assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_INVALID_FIELD, field)
    assert await _listed(api) == before


async def test_what_is_not_there_cannot_be_deleted(api: Door) -> None:
    """NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _delete(api, "nobody-has-put-it")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_NOT_FOUND


async def test_units_are_taken_by_attempts_and_shown(api: Door, dispatcher: Door, task: str) -> None:
    """What does not fit waits, until somebody puts more."""
    key = f"limit-{mint_id()}"
    await _put(api, key, limit=5)
    async with raw_worker(dispatcher, task) as worker:
        # After the worker, whose own definition has no limits.
        await _register(api, task, static_key=key, units=2)
        runs = await api.submit(*(submission(task) for _ in range(3)))
        started = await worker.assigned(2)
        state = (await _listed(api))[key]
        assert state.used == 4
        assert state.window_ends_at_ms > 0
        (waits,) = set(runs) - {each.run_id for each in started}
        shown = await api.get(waits)
        assert (shown.phase, shown.waits_for) == (run_pb2.RUN_PHASE_READY, f"units of the rate limit '{key}'")
        await worker.complete_all(started)
        assert (await api.get(waits)).phase == run_pb2.RUN_PHASE_READY
        await _put(api, key, limit=6)
        (last,) = await worker.assigned()
        assert last.run_id == waits
        await worker.complete(last)
    assert (await _listed(api))[key].used == 6


async def test_a_limit_that_nobody_has_put_refuses_submits(api: Door, task: str) -> None:
    """NOT_FOUND, with how to put it; once it is put they are taken, and no longer when it has been deleted."""
    key = f"limit-{mint_id()}"
    await _register(api, task, static_key=key)
    refused = await _outcome(api, task)
    assert (refused.error.reason, refused.error.field) == (error_pb2.ERROR_REASON_NOT_FOUND, "runs[0].spec")
    assert f"windlass rate-limits put {key}" in refused.error.message
    await _put(api, key)
    assert not (await _outcome(api, task)).HasField("error")
    await _delete(api, key)
    async with asyncio.timeout(30):  # a second later at the latest
        while (await _outcome(api, task)).error.reason != error_pb2.ERROR_REASON_NOT_FOUND:
            pass


async def test_units_over_a_named_limit_are_refused_until_there_is_more(api: Door, task: str) -> None:
    """What the api has at hand of a limit refuses nothing by itself."""
    key = f"limit-{mint_id()}"
    await _put(api, key, limit=5)
    await _register(api, task, static_key=key, units_expression="input.units")
    assert not (await _outcome(api, task, {"units": 5})).HasField("error")
    refused = await _outcome(api, task, {"units": 6})
    assert refused.error.reason == error_pb2.ERROR_REASON_INVALID_FIELD
    assert f"6 units of the rate limit '{key}', which has 5 in all" in refused.error.message
    await _put(api, key, limit=6)
    assert not (await _outcome(api, task, {"units": 6})).HasField("error")


async def test_a_scheduled_run_can_be_changed_where_its_limit_is_there(api: Door, task: str) -> None:
    """Its units are computed anew; the same for what a cron would submit."""
    key = f"limit-{mint_id()}"
    await _put(api, key, limit=5)
    await _register(api, task, static_key=key, units_expression="input.units")
    (run_id,) = await api.submit(submission(task, {"units": 1}, run_at_ms=4_000_000_000_000))
    for units, is_taken in ((5, True), (6, False)):
        text = f'{{"units": {units}}}'.encode()
        change = schedule_service_pb2.UpdateScheduledRunRequest(run_id=run_id, input_json=text)
        schedule = workflow_pb2.CronDefinition(name=f"c{units}", expression="@daily", input_json=text)
        create = schedule_service_pb2.CreateCronRequest(
            spec=schedule_pb2.CronSpec(workflow_name=task, schedule=schedule)
        )
        for call, request in ((api.schedules.UpdateScheduledRun, change), (api.schedules.CreateCron, create)):
            if is_taken:
                await call(request)
            else:
                with pytest.raises(grpc.aio.AioRpcError, match="6 units of the rate limit"):
                    await call(request)
    assert (await api.get(run_id)).spec.input_json == b'{"units": 5}'
