"""What concurrency keys and rate limits a definition may ask for, and what becomes of their submits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import RawWorker, detail_of, raw_worker, submission
from windlass.v1 import error_pb2, run_service_pb2, workflow_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door

BAD_SYNTAX = workflow_pb2.Concurrency(expression="input.user ==", max_runs=1)
BY_USER = workflow_pb2.Concurrency(expression="input.user", max_runs=1)


async def _refused(api: Door, task: str, value: object) -> error_pb2.ErrorDetail:
    asked = run_service_pb2.SubmitRunsRequest(runs=[submission(task, value)])
    (outcome,) = (await api.runs.SubmitRuns(asked)).outcomes
    detail: error_pb2.ErrorDetail = outcome.error
    listed = await api.runs.ListRuns(
        run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(workflow_names=[task]))
    )
    assert not listed.runs
    return detail


async def test_bad_syntax_is_refused_at_registration(api: Door) -> None:
    """With its path, at the api."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.register("fine", f"task-{mint_id()}", concurrency=[BY_USER, BAD_SYNTAX])
    detail = detail_of(raised.value)
    assert (detail.reason, detail.field) == (
        error_pb2.ERROR_REASON_INVALID_FIELD,
        "workflows[0].tasks[0].concurrency[1].expression",
    )
    assert "Syntax error" in detail.message


async def test_bad_syntax_is_refused_at_hello(dispatcher: Door) -> None:
    """With its path, at the dispatcher: a worker that brings it does not get in."""
    worker = RawWorker(dispatcher, f"task-{mint_id()}")
    worker.hello.workflows[0].concurrency.append(BAD_SYNTAX)
    with pytest.raises((AssertionError, grpc.aio.AioRpcError), match=r"workflows\[0\]\.concurrency\[0\]\.expression"):
        await worker.connect()


@pytest.mark.parametrize(
    ("value", "came"),
    [
        ({}, 'Key not found in map : "user"'),
        ({"user": None}, "gave null"),
        ({"user": ["a"]}, "gave a list"),
        ({"user": {}}, "gave a map"),
        (None, "input.user"),
    ],
)
async def test_a_submit_without_a_key_is_refused(api: Door, value: object, came: str) -> None:
    """The error names the expression, what came and what was expected; nothing is stored."""
    task = f"task-{mint_id()}"
    await api.register(task, concurrency=[BY_USER])
    detail = await _refused(api, task, value)
    assert (detail.reason, detail.field) == (error_pb2.ERROR_REASON_INVALID_FIELD, "runs[0].spec")
    for part in ("`input.user`", task, came, "expected a string, a number or a boolean"):
        assert part in detail.message


async def test_a_bulk_is_taken_but_for_the_runs_without_a_key(api: Door) -> None:
    """Each has its own outcome."""
    task = f"task-{mint_id()}"
    await api.register(task, concurrency=[BY_USER])
    runs = [submission(task, value) for value in ({"user": 1}, {}, {"user": 2})]
    outcomes = (await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=runs))).outcomes
    assert [outcome.HasField("error") for outcome in outcomes] == [False, True, False]
    assert outcomes[1].error.field == "runs[1].spec"


async def test_units_that_can_never_be_had_are_refused(api: Door) -> None:
    """With both figures."""
    task = f"task-{mint_id()}"
    limit = workflow_pb2.RateLimit(dynamic_key="input.user", units_expression="input.units", limit=10, window_ms=60_000)
    await api.register(task, rate_limits=[limit])
    detail = await _refused(api, task, {"user": "ann", "units": 11})
    assert detail.reason == error_pb2.ERROR_REASON_INVALID_FIELD
    assert "11 units of the rate limit 'ann', which has 10 in all" in detail.message


async def test_a_plain_definition_of_the_same_name_takes_the_gates_away(api: Door) -> None:
    """The current version counts."""
    task = f"task-{mint_id()}"
    await api.register(task, concurrency=[BY_USER])
    await _refused(api, task, {})
    await api.register(task)
    (run_id,) = await api.submit(submission(task, {}))
    assert json.loads((await api.get(run_id)).spec.input_json) == {}


async def test_a_run_tells_for_which_key_it_waits(api: Door, dispatcher: Door, task: str) -> None:
    """While it does, and as the expression gave it."""
    async with raw_worker(dispatcher, task) as worker:
        await api.register(task, concurrency=[workflow_pb2.Concurrency(expression="'user|' + input.user", max_runs=1)])
        first, second = await api.submit(*(submission(task, {"user": "ann"}) for _ in range(2)))
        (assignment,) = await worker.assigned()
        assert (await api.get(second)).waits_for == "a permit of its concurrency key 'user|ann'"
        assert (await api.get(first)).waits_for == ""
        await worker.complete(assignment)
        (assignment,) = await worker.assigned()
        assert (await api.get(second)).waits_for == ""
        await worker.complete(assignment)
