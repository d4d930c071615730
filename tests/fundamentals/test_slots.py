"""Slots: how much of a worker an attempt takes, and of what."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import Windlass


async def test_costly_attempts_take_several_slots_of_their_pool(app: Windlass, serving: Serving) -> None:
    """Of three slots of the pool, one attempt that costs two leaves one too few for another."""
    at_once, most = 0, 0

    @app.task(slot_cost=2, slot_pool="gpu")
    async def render(frame: int) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return frame

    frames = [render.create_bulk_run_item(frame) for frame in range(5)]
    async with serving(app, slots=10, pools={"gpu": 3}):
        assert await render.aio_run_many(frames) == [0, 1, 2, 3, 4]
    assert most == 1
