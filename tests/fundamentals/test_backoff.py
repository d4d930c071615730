"""Waiting between attempts."""

from datetime import timedelta

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_retry_waits_for_its_backoff(app: Windlass, serving: Serving) -> None:
    """Two to the power of the retry in seconds, but never more than the bound; and spread, unless told not to."""

    @app.task(retries=2, backoff_factor=2, backoff_max_seconds=0.05, backoff_jitter=False)
    async def flaky(ctx: Context) -> int:
        if ctx.retry_count < 2:
            raise ConnectionError("not yet")
        return ctx.attempt_number

    async with serving(app):
        ref = await flaky.aio_delay()
        assert await ref.aio_result(timeout=30) == 3
    run = await app.runs.aio_get(ref.id)
    assert run.started_at is not None
    assert run.started_at - run.created_at >= timedelta(seconds=0.1)
