"""What a task logs can be read by whoever has its run's id."""

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
    lines = await app.runs.aio_list_logs(ref.id)
    assert [(line.message, line.attempt) for line in lines] == [("first", 1), ("second", 1)]
