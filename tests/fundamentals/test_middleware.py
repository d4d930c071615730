"""What runs round every attempt of an app."""

from typing import Any

from tests.fundamentals.conftest import Serving
from windlass import CallNext, Context, Windlass


async def test_middleware_wraps_every_attempt(app: Windlass, serving: Serving) -> None:
    """The first registered is outermost; what it returns is the output."""
    said: list[str] = []

    @app.middleware
    async def tell(ctx: Context, call_next: CallNext) -> Any:
        said.append(f"starting {ctx.task_name}, attempt {ctx.attempt_number}")
        try:
            return await call_next()
        finally:
            said.append("finished")

    @app.middleware
    async def double(ctx: Context, call_next: CallNext) -> Any:
        return 2 * await call_next()

    @app.task(retries=1)
    def count(ctx: Context, number: int) -> int:
        if ctx.attempt_number == 1:
            raise ConnectionError("not yet")
        return number

    async with serving(app):
        assert await count.aio_run(21) == 42
    assert said == ["starting count, attempt 1", "finished", "starting count, attempt 2", "finished"]
