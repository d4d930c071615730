"""Workflows and their hooks without an engine: mocked runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.orders import OrderInput, Receipt
from windlass import Context, Depends, NotFound, Windlass
from windlass.exceptions import SyncCallOnLoop, TaskRunError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from windlass import Workflow


def test_a_mocked_run_gives_the_outputs_by_task(orders: Workflow[OrderInput]) -> None:
    """As plain JSON values, as a real one does."""

    @orders.task
    async def charge(input: OrderInput, ctx: Context) -> Receipt:
        assert (ctx.workflow_name, ctx.task_name) == ("orders", "charge")
        assert ctx.workflow_run_id == ctx.task_run_id
        assert (ctx.retry_count, ctx.additional_metadata, ctx.lifespan) == (1, {"from": "test"}, "pool")
        return Receipt(charged=input.amount)

    order = OrderInput(order_id="a", amount=5)
    given: dict[str, Any] = {"retry_count": 1, "additional_metadata": {"from": "test"}, "lifespan": "pool"}
    assert orders.mock_run(order, **given) == {"charge": {"charged": 5}}


async def test_a_mocked_run_on_the_loop_opens_dependencies(orders: Workflow[OrderInput]) -> None:
    """Those that are not given."""

    async def pool() -> AsyncIterator[str]:
        yield "pool"

    @orders.task
    async def charge(input: OrderInput, ctx: Context, db: str = Depends(pool)) -> str:
        return db

    order = OrderInput(order_id="a")
    assert await orders.aio_mock_run(order) == {"charge": "pool"}
    assert await orders.aio_mock_run(order, dependencies={"db": "fake"}) == {"charge": "fake"}
    with pytest.raises(SyncCallOnLoop, match="aio_mock_run"):
        orders.mock_run(order)


def test_the_guides_hooks_can_be_tried_alone(app: Windlass) -> None:
    """Told how the run ended that they follow."""
    hook_example = app.workflow(name="HookExample", input_validator=OrderInput)

    @hook_example.task()
    async def process_order(input: OrderInput, ctx: Context) -> dict[str, str]:
        ctx.log(f"Order {input.order_id} charged")
        return {"status": "charged"}

    @hook_example.on_failure_task()
    async def on_order_failure(input: OrderInput, ctx: Context) -> str:
        error = ctx.get_task_run_error(process_order)
        assert error is not None
        assert error.run_id == ctx.workflow_run_id != ctx.task_run_id
        return f"{input.order_id}: {error.type}: {error.error}"

    @hook_example.on_success_task()
    async def on_order_success(input: OrderInput, ctx: Context) -> str:
        return ctx.task_output(process_order)["status"]

    order = OrderInput(order_id="a")
    assert hook_example.mock_run(order) == {"process_order": {"status": "charged"}}
    errors: list[BaseException] = [OSError("no bank"), TaskRunError(type="OSError", error="no bank")]
    for error in errors:
        assert on_order_failure.mock_run(order, task_run_errors={process_order: error}) == "a: OSError: no bank"
    assert on_order_success.mock_run(order, parent_outputs={process_order: {"status": "charged"}}) == "charged"


def test_an_output_is_read_by_the_tasks_annotation_or_plain_by_its_name(orders: Workflow[OrderInput]) -> None:
    """Whoever has the task at hand gets its type."""

    @orders.task
    def charge(input: OrderInput, ctx: Context) -> Receipt:
        return Receipt(charged=1)

    @orders.on_success_task
    def thank(input: OrderInput, ctx: Context) -> list[Any]:
        return [ctx.task_output(charge).charged, ctx.task_output("charge")]

    for outputs in ({charge: Receipt(charged=1)}, {"charge": {"charged": 1}}):
        assert thank.mock_run(OrderInput(order_id="a"), parent_outputs=outputs) == [1, {"charged": 1}]


def test_an_output_that_is_not_there_is_an_error_that_says_why(orders: Workflow[OrderInput]) -> None:
    """Of another name, after a failure, in a task that follows no run."""

    @orders.task
    def charge(input: OrderInput, ctx: Context) -> None: ...

    @orders.on_success_task
    def thank(input: OrderInput, ctx: Context) -> Any:
        return ctx.task_output("ship")

    order = OrderInput(order_id="a")
    with pytest.raises(
        NotFound, match=r"no output of task 'ship' for task 'thank' of 'orders': there is that of charge"
    ):
        thank.mock_run(order, parent_outputs={charge: None})
    with pytest.raises(NotFound, match="has failed: see task_run_errors"):
        thank.mock_run(order, task_run_errors={charge: OSError()})
    with pytest.raises(NotFound, match="follows no run"):
        thank.mock_run(order)
