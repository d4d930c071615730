"""What fails is tried again, and its history is kept."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import Context, NonRetryableException, TaskRunError, Windlass


async def test_failed_attempts_are_retried_and_remembered(app: Windlass, serving: Serving) -> None:
    """`retries` counts the attempts after the first."""

    @app.task(retries=2)
    async def flaky(ctx: Context) -> int:
        assert [error.attempt for error in ctx.previous_errors] == list(range(1, ctx.attempt_number))
        if ctx.attempt_number < 3:
            raise ConnectionError("not yet")
        return ctx.attempt_number

    async with serving(app):
        ref = await flaky.aio_delay()
        assert await ref.aio_result(timeout=30) == 3
    run = await app.runs.aio_get(ref.id)
    assert [(each.attempt, each.type, each.error) for each in run.errors] == [
        (1, "ConnectionError", "not yet"),
        (2, "ConnectionError", "not yet"),
    ]
    first, second = run.errors
    assert "raise ConnectionError" in first.traceback
    assert first.worker_id == second.worker_id == run.worker_id
    times = [first.started_at, first.failed_at, second.started_at, second.failed_at, run.finished_at]
    assert times == sorted(times, key=str)


async def test_non_retryable_failure_ends_the_run(app: Windlass, serving: Serving) -> None:
    """Whatever attempts are left."""

    @app.task(retries=5)
    async def hopeless() -> None:
        raise NonRetryableException("no such order")

    async with serving(app):
        with pytest.raises(TaskRunError, match="no such order") as raised:
            await hopeless.aio_run()
    assert raised.value.attempt == 1
