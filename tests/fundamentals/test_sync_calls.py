"""The same calls from code that is not async."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Windlass


async def test_sync_code_calls_from_its_thread(app: Windlass, serving: Serving) -> None:
    """A script, a view, a sync task: `run` blocks its own thread and no other."""

    @app.task
    def double(number: int) -> int:
        return 2 * number

    @app.task
    def quadruple(number: int) -> int:
        return double.run(double.run(number))

    async with serving(app):
        assert await asyncio.to_thread(quadruple.run, 10) == 40
