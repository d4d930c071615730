"""What follows the end of a run: a hook of its workflow, which the engine executes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from windlass import Context, TaskRunError, Windlass

if TYPE_CHECKING:
    from tests.fundamentals.conftest import Serving


class OrderInput(BaseModel):
    order_id: str


async def test_a_hook_follows_the_end_of_a_run(app: Windlass, serving: Serving) -> None:
    """One a success, which it is told the output of, the other a failure, which it is told the error of."""
    told: asyncio.Queue[str] = asyncio.Queue()
    orders = app.workflow(name="orders", input_validator=OrderInput)

    @orders.task(retries=1)
    async def charge(input: OrderInput, ctx: Context) -> str:
        if input.order_id == "unpaid":
            raise ConnectionError("no bank")
        return "charged"

    @orders.on_success_task
    async def thank(input: OrderInput, ctx: Context) -> None:
        await told.put(f"{input.order_id} was {ctx.task_output(charge)}")

    @orders.on_failure_task
    async def alert(input: OrderInput, ctx: Context) -> None:
        await told.put(f"{input.order_id} failed: {ctx.get_task_run_error(charge)}")

    async with serving(app):
        assert await orders.aio_run(OrderInput(order_id="a")) == {"charge": "charged"}
        assert await told.get() == "a was charged"
        with pytest.raises(TaskRunError):
            await orders.aio_run(OrderInput(order_id="unpaid"))
        assert "no bank" in await told.get()
