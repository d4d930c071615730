"""Limits on executing, on waiting for a worker, and on a caller's patience."""

import asyncio
from datetime import timedelta

import pytest

from tests.fundamentals.conftest import Serving
from windlass import ResultTimeout, RunCancelled, RunStatus, TaskRunError, Windlass


async def test_attempt_that_runs_too_long_fails(app: Windlass, serving: Serving) -> None:
    """With ExecutionTimeout, and is retried as any other."""

    @app.task(execution_timeout=0.2, retries=1)
    async def slow() -> None:
        await asyncio.Event().wait()

    async with serving(app):
        with pytest.raises(TaskRunError) as raised:
            await slow.aio_run()
    assert (raised.value.type, raised.value.attempt) == ("ExecutionTimeout", 2)


async def test_run_that_waits_too_long_is_cancelled(app: Windlass) -> None:
    """Nobody serves it."""

    @app.task(schedule_timeout=0.2)
    def unserved() -> None: ...

    with pytest.raises(RunCancelled):
        await unserved.aio_run()
    ref = await unserved.options(expires="250ms").aio_delay()
    states = [run.status async for run in app.runs.aio_watch([ref.id])]
    assert (states[0], states[-1]) == (RunStatus.QUEUED, RunStatus.CANCELLED)
    run = await app.runs.aio_get(ref.id)
    assert run.finished_at is not None
    assert run.finished_at - run.created_at >= timedelta(milliseconds=250)


async def test_impatient_caller_leaves_and_the_run_goes_on(app: Windlass, serving: Serving) -> None:
    """`timeout` is the caller's; the result can be had later."""

    @app.task
    def patient() -> str:
        return "here"

    ref = await patient.aio_delay()
    with pytest.raises(ResultTimeout):
        await ref.aio_result(timeout=0.1)
    assert await ref.aio_status() is RunStatus.QUEUED
    async with serving(app):
        assert await ref.aio_result(timeout=30) == "here"
