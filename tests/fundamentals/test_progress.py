"""A task says how far it is, and whoever watches its run sees it."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Context, Progress, Windlass


async def test_progress_is_seen_while_the_task_runs(app: Windlass, serving: Serving) -> None:
    """The newest word counts; the last one is kept with the run."""
    seen = asyncio.Event()

    @app.task
    async def resize(ctx: Context, pictures: int) -> None:
        ctx.progress(1, pictures, "resizing")
        await seen.wait()
        for done in range(2, pictures + 1):
            ctx.progress(done, total=pictures)

    async with serving(app):
        ref = await resize.aio_delay(1000)
        async for state in app.runs.aio_watch([ref.id]):
            if state.progress == Progress(done=1, total=1000, message="resizing"):
                seen.set()
    run = await app.runs.aio_get(ref.id)
    assert run.progress is not None
    assert (run.progress.done, run.progress.fraction) == (1000, 1.0)
