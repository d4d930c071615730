"""A workflow is run as a task is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from windlass import Context, Priority, Windlass

if TYPE_CHECKING:
    from tests.fundamentals.conftest import Serving


async def test_a_workflow_is_run_as_a_task_is(app: Windlass, serving: Serving) -> None:
    """By itself, in bulk, by its name; its outputs come by task."""
    doubling = app.workflow(name="doubling", input_validator=int)

    @doubling.task
    def double(input: int, ctx: Context) -> int:
        return input * 2

    async with serving(app):
        assert await doubling.aio_run(4, priority=Priority.HIGH) == {"double": 8}
        items = [doubling.create_bulk_run_item(number) for number in range(3)]
        assert await doubling.aio_run_many(items) == [{"double": 0}, {"double": 2}, {"double": 4}]
        assert await asyncio.to_thread(doubling.run, 5) == {"double": 10}
