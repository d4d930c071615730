"""Sticky: a run's children on the worker that it is on itself, where the data is warm."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Context, StickyStrategy, Windlass


async def test_sticky_children_run_where_their_parent_does(app: Windlass, serving: Serving) -> None:
    """Of two workers alike, whichever has the parent."""

    @app.task
    async def child(ctx: Context, number: int) -> str:
        return ctx.worker_id

    @app.task(sticky=StickyStrategy.HARD)
    async def parent(ctx: Context) -> bool:
        here = child.options(sticky=True)
        workers = await asyncio.gather(*(here.aio_run(number) for number in range(5)))
        return set(workers) == {ctx.worker_id}

    async with serving(app), serving(app):
        assert await parent.aio_run()
