"""Releasing a slot: an attempt that only waits makes room for others."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_an_attempt_that_released_its_slot_waits_beside_others(app: Windlass, serving: Serving) -> None:
    """On a worker with one slot the second run is what the first one waits for."""
    answered = asyncio.Event()

    @app.task
    async def ask(ctx: Context) -> str:
        await ctx.aio_release_slot()
        await answered.wait()
        return "answered"

    @app.task
    async def answer() -> None:
        answered.set()

    async with serving(app, slots=1):
        asked = await ask.aio_delay()
        await answer.aio_run()
        assert await asked.aio_result() == "answered"
