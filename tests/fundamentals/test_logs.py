"""What a task logs can be read by whoever has its run's id, while it runs and afterwards."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_lines_are_kept_in_order(app: Windlass, serving: Serving) -> None:
    """With the attempt that logged them."""

    @app.task
    async def talk(ctx: Context) -> None:
        ctx.log("first")
        ctx.log("second")

    async with serving(app):
        ref = await talk.aio_delay()
        await ref.aio_result(timeout=30)
    lines = await app.logs.aio_list(ref.id)
    assert [(line.offset, line.message, line.attempt) for line in lines] == [(0, "first", 1), (1, "second", 1)]


async def test_a_log_is_followed_to_the_end_of_its_run(app: Windlass, serving: Serving) -> None:
    """The task goes on only once its first line has been read."""
    go_on = asyncio.Event()

    @app.task
    async def talk_on(ctx: Context) -> None:
        ctx.log("waiting")
        await go_on.wait()
        ctx.log("last words", level="WARNING")

    async with serving(app):
        ref = await talk_on.aio_delay()
        seen = []
        async for line in app.logs.aio_tail(ref.id):
            seen.append((line.level, line.message))
            go_on.set()
    assert seen == [("INFO", "waiting"), ("WARNING", "last words")]
