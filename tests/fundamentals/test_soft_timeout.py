"""A task is told that its time is nearly over, and may ask for more."""

import asyncio
import time

import pytest

from tests.fundamentals.conftest import Serving
from windlass import Context, SoftTimeoutExceeded, TaskRunError, Windlass


async def test_a_task_that_is_told_can_save_what_it_has(app: Windlass, serving: Serving) -> None:
    """SoftTimeoutExceeded comes up inside, on the loop and in threads; what the task then returns counts."""

    @app.task(soft_timeout="100ms", execution_timeout="1m")
    async def crawl() -> str:
        try:
            await asyncio.sleep(600)
        except SoftTimeoutExceeded:
            return "as far as I got"
        return "everything"

    @app.task(soft_timeout="100ms", execution_timeout="1m")
    def compute() -> None:
        while True:
            time.sleep(0.001)

    async with serving(app):
        assert await crawl.aio_run() == "as far as I got"
        with pytest.raises(TaskRunError) as raised:
            await compute.aio_run()
    assert raised.value.type == "SoftTimeoutExceeded"


async def test_a_task_that_makes_progress_asks_for_more_time(app: Windlass, serving: Serving) -> None:
    """Counted from the call, in place of what was left; here for once it asks for less."""

    @app.task(execution_timeout="1h")
    async def convert(ctx: Context) -> None:
        for pages_left in (3, 2, 1, 0):
            await ctx.aio_refresh_timeout("5m" if pages_left else 0.1)
        await asyncio.Event().wait()

    async with serving(app):
        with pytest.raises(TaskRunError, match=r"ran longer than its execution timeout of 0\.1 s"):
            await convert.aio_run()
