"""Idempotency keys through the api's doors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.raw_client import submission
from windlass.v1 import error_pb2, run_pb2, run_service_pb2, workflow_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door

_REPLACE = workflow_pb2.IDEMPOTENCY_CONFLICT_REPLACE


async def _outcome(api: Door, task: str, value: Any = None, **idempotency: Any) -> run_service_pb2.SubmitOutcome:
    asked = submission(task, value, idempotency={"key": "k"} | idempotency)
    answer = await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=[asked]))
    outcome: run_service_pb2.SubmitOutcome = answer.outcomes[0]
    return outcome


async def test_one_of_many_parallel_submits_is_accepted(api: Door, task: str) -> None:
    """All are told its id."""
    outcomes = await asyncio.gather(*(_outcome(api, task, 1) for _ in range(100)))
    assert len({outcome.run_id for outcome in outcomes}) == 1
    assert sum(not outcome.duplicate for outcome in outcomes) == 1
    page = await api.runs.ListRuns(
        run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(workflow_names=[task]))
    )
    assert len(page.runs) == 1
    assert page.runs[0].spec.idempotency.key == "k"


async def test_another_content_is_refused_by_name(api: Door, task: str) -> None:
    """The key, the run that has it, and the field."""
    first = await _outcome(api, task, 1)
    error = (await _outcome(api, task, 2)).error
    assert (error.reason, error.field) == (error_pb2.ERROR_REASON_ALREADY_EXISTS, "runs[0].spec.idempotency.key")
    assert "'k'" in error.message
    assert first.run_id in error.message


async def test_a_key_is_one_workflows(api: Door, task: str) -> None:
    """Others may use it too."""
    await api.register(f"{task}-2")
    first, second = await _outcome(api, task), await _outcome(api, f"{task}-2")
    assert not first.duplicate
    assert not second.duplicate


async def test_a_replaced_run_ends_cancelled(api: Door, task: str) -> None:
    """It says why."""
    first, second = await _outcome(api, task, 1), await _outcome(api, task, 2, on_conflict=_REPLACE)
    result = await api.wait(first.run_id)
    assert result.status == run_pb2.RUN_STATUS_CANCELLED
    assert second.run_id in result.cancel_reason
    assert (await api.get(second.run_id)).status == run_pb2.RUN_STATUS_QUEUED
