"""The migration guide from Celery, step 6, typed in: retries and timeouts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from windlass import Context, RetryPolicy, RunCancelled, SoftTimeoutExceeded, TaskRunError, Windlass
from windlass.exceptions import NonRetryableException

if TYPE_CHECKING:
    from tests.fundamentals.conftest import Serving


class OrderInput(BaseModel):
    """An order to ask the shop's api about."""

    order_id: str


class RequestError(Exception):
    """The shop's api did not answer as it should."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


async def ask_shop(order_id: str, attempt: int) -> str:
    """Answer at the third attempt; never for an order that is malformed."""
    if order_id == "malformed":
        raise RequestError(400)
    if attempt < 3:
        raise RequestError(503)
    return "shipped"


async def test_a_task_is_retried_with_backoff(app: Windlass, serving: Serving) -> None:
    """`max_retries`, `retry_backoff` and `retry_backoff_max` are on the decorator; raising is all the task does."""

    @app.task(
        name="call-api",
        retries=5,
        backoff_factor=2.0,
        backoff_max_seconds=0.05,
        execution_timeout=timedelta(seconds=30),
        input_validator=OrderInput,
    )
    async def call_api(input: OrderInput, ctx: Context) -> dict[str, str]:
        return {"status": await ask_shop(input.order_id, ctx.attempt_number)}

    async with serving(app):
        ref = await call_api.aio_run(OrderInput(order_id="A1"), wait_for_result=False)
        assert await ref.aio_result(timeout=30) == {"status": "shipped"}
    errors = (await app.runs.aio_get(ref.workflow_run_id)).errors
    assert [(error.attempt, error.type, error.error) for error in errors] == [
        (1, "RequestError", "status 503"),
        (2, "RequestError", "status 503"),
    ]


async def test_a_permanent_failure_is_not_retried(app: Windlass, serving: Serving) -> None:
    """`NonRetryableException` ends the run whatever the policy says."""

    @app.task(retries=5, input_validator=OrderInput)
    async def call_api(input: OrderInput, ctx: Context) -> str:
        try:
            return await ask_shop(input.order_id, ctx.attempt_number)
        except RequestError as error:
            if error.status == 400:
                raise NonRetryableException("Bad request: do not retry") from error
            raise

    async with serving(app):
        with pytest.raises(TaskRunError, match="do not retry") as raised:
            await call_api.aio_run(OrderInput(order_id="malformed"))
        assert (raised.value.type, raised.value.attempt) == ("NonRetryableException", 1)
        assert await call_api.aio_run(OrderInput(order_id="A1")) == "shipped"


async def test_only_one_type_of_error_is_retried(app: Windlass, serving: Serving) -> None:
    """`autoretry_for=(RequestError,)`; other errors are final, and so are those of `no_retry_on`."""

    def fail(attempt: int, order_id: str) -> int:
        raise RequestError(503) if attempt == 1 else ValueError(order_id)

    @app.task(retries=5, retry_on=[RequestError])
    async def narrow(ctx: Context, order_id: str) -> int:
        return fail(ctx.attempt_number, order_id)

    @app.task(retries=5, no_retry_on=[ValueError])
    async def wide(ctx: Context, order_id: str) -> int:
        return fail(ctx.attempt_number, order_id)

    async with serving(app):
        for task in (narrow, wide):
            with pytest.raises(TaskRunError) as raised:
                await task.aio_run("A1")
            assert (raised.value.type, raised.value.attempt) == ("ValueError", 2)


async def test_manual_retries_are_raises(app: Windlass, serving: Serving) -> None:
    """`raise self.retry(exc=exc, countdown=...)` becomes `raise`; the wait is the policy's, also at the call."""

    @app.task(retry=RetryPolicy(max_attempts=4, initial_interval="1h"))
    def call_api(ctx: Context, order_id: str) -> str:
        try:
            status = asyncio.run(ask_shop(order_id, ctx.attempt_number))
        except RequestError:
            ctx.log(f"attempt {ctx.attempt_number} of {ctx.max_attempts} failed for {order_id}")
            raise
        return f"{status} after {len(ctx.previous_errors)} failures"

    soon = RetryPolicy(max_attempts=4, initial_interval=0.01)
    async with serving(app):
        ref = await call_api.options(retry=soon).aio_delay("A1")
        assert await ref.aio_result(timeout=30) == "shipped after 2 failures"
    lines = [line.message for line in await app.logs.aio_list(ref.id)]
    assert lines == ["attempt 1 of 4 failed for A1", "attempt 2 of 4 failed for A1"]


async def test_a_time_limit_stops_the_attempt(app: Windlass, serving: Serving) -> None:
    """`time_limit`; also of a task without annotations."""

    @app.task(execution_timeout=timedelta(milliseconds=100))
    async def long_task(input, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as the guide has it
        await asyncio.Event().wait()

    async with serving(app):
        with pytest.raises(TaskRunError) as raised:
            await long_task.aio_run()
    assert raised.value.type == "ExecutionTimeout"


async def test_a_soft_limit_lets_the_task_clean_up(app: Windlass, serving: Serving) -> None:
    """`soft_time_limit`: raised inside, on the loop and in a thread; the task still returns."""

    @app.task(soft_timeout=0.1, execution_timeout="1m")
    async def long_task() -> str:
        try:
            await asyncio.Event().wait()
        except SoftTimeoutExceeded:
            return "cleaned up"
        return "never"

    @app.task(soft_timeout=0.1, execution_timeout="1m")
    def long_sync_task() -> str:
        try:
            while True:
                sum(range(1000))
        except SoftTimeoutExceeded:
            return "cleaned up too"

    async with serving(app):
        assert await long_task.aio_run() == "cleaned up"
        assert await long_sync_task.aio_run() == "cleaned up too"


async def test_a_run_that_waits_too_long_is_cancelled(app: Windlass) -> None:
    """`schedule_timeout`, and Celery's `expires` at the call: nobody serves these."""

    @app.task(schedule_timeout=timedelta(milliseconds=50))
    async def unserved(input: OrderInput, ctx: Context) -> Any: ...

    @app.task
    async def unserved_too(input: OrderInput, ctx: Context) -> Any: ...

    order = OrderInput(order_id="A1")
    with pytest.raises(RunCancelled):
        await unserved.aio_run(order)
    with pytest.raises(RunCancelled):
        await unserved_too.aio_run(order, expires="50ms")
