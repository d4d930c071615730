"""Cancelling what waits, and what runs."""

import asyncio

import pytest

from tests.fundamentals.conftest import Serving
from windlass import Context, RunCancelled, RunStatus, Windlass


async def test_queued_run_is_cancelled_at_once(app: Windlass) -> None:
    """Without any worker."""

    @app.task
    def never() -> None: ...

    ref = await never.aio_delay()
    await ref.aio_cancel()
    assert await ref.aio_status() is RunStatus.CANCELLED


async def test_running_run_is_told(app: Windlass, serving: Serving) -> None:
    """It may clean up; it ends CANCELLED, whatever it returns."""
    started, told = asyncio.Event(), asyncio.Event()

    @app.task
    async def endless(ctx: Context) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert ctx.is_cancelled
            told.set()
        return "never"

    async with serving(app):
        ref = await endless.aio_delay()
        await started.wait()
        await ref.aio_cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            await ref.aio_result(timeout=30)
    assert told.is_set()
