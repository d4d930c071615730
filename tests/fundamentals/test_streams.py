"""What a task streams reaches whoever subscribes to its run: as it was put, in order, while the task goes on."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_chunks_arrive_while_the_task_goes_on(app: Windlass, serving: Serving) -> None:
    """The task goes on only once its first chunk has been read."""
    go_on = asyncio.Event()

    @app.task
    async def answer(ctx: Context) -> None:
        await ctx.aio_put_stream("Once upon")
        await go_on.wait()
        await ctx.aio_put_stream(b"\x00\xff")

    async with serving(app):
        ref = await answer.aio_delay()
        seen = []
        async for chunk in app.runs.aio_subscribe_to_stream(ref.id):
            seen.append((chunk.offset, chunk.data, chunk.attempt))
            go_on.set()
    assert seen == [(0, "Once upon", 1), (1, b"\x00\xff", 1)]


async def test_who_comes_late_misses_nothing(app: Windlass, serving: Serving) -> None:
    """And whoever was cut off goes on after what was read."""

    @app.task
    def count(ctx: Context, to: int) -> None:
        for number in range(to):
            ctx.put_stream(str(number))

    async with serving(app):
        ref = await count.aio_delay(3)
        await ref.aio_result(timeout=30)
    assert [chunk.data async for chunk in app.runs.aio_subscribe_to_stream(ref.id)] == ["0", "1", "2"]
    assert [chunk.data async for chunk in app.runs.aio_subscribe_to_stream(ref.id, offset=2)] == ["2"]
