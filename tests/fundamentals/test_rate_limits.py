"""How many attempts may start in a window of time, over all workers."""

import asyncio
from datetime import timedelta

import pytest

from tests.fundamentals.conftest import Serving
from windlass import NotFound, RateLimit, RateLimitDuration, RunStatus, Windlass


async def test_a_limit_has_a_name_and_is_shared(app: Windlass, serving: Serving) -> None:
    """Whoever puts it decides how much; each attempt takes its units, and waits where there are none."""
    await app.rate_limits.aio_put("mail-api", 5, RateLimitDuration.HOUR)

    @app.task(rate_limits=[RateLimit(static_key="mail-api", units=2)])
    async def send(to: str) -> str:
        return to

    async with serving(app):
        refs = [await send.aio_delay(to) for to in ("ann", "bob", "cid")]
        assert [await ref.aio_result(timeout=30) for ref in refs[:2]] == ["ann", "bob"]
        assert await refs[2].aio_status() is RunStatus.QUEUED
        [limit] = [each for each in await app.rate_limits.aio_list() if each.key == "mail-api"]
        assert (limit.used, limit.limit, limit.duration) == (4, 5, timedelta(hours=1))
        await app.rate_limits.aio_put("mail-api", 10, RateLimitDuration.HOUR)
        assert await refs[2].aio_result(timeout=30) == "cid"
    await app.rate_limits.aio_delete("mail-api")


async def test_each_value_of_a_key_has_its_own_limit(app: Windlass, serving: Serving) -> None:
    """Name, units and limit may be CEL expressions over `input` and `metadata`."""
    per_user = RateLimit(dynamic_key="'calls:' + input.user", units="input.calls", limit=3, duration="1h")

    @app.task(rate_limits=[per_user])
    async def crawl(user: str, calls: int) -> str:
        return user

    async with serving(app):
        assert await crawl.aio_run("ann", calls=3) == "ann"
        assert await crawl.aio_run("bob", calls=2) == "bob"
        more = await crawl.aio_delay("ann", calls=1)
        assert await crawl.aio_run("bob", calls=1) == "bob"
        assert await more.aio_status() is RunStatus.QUEUED


async def test_a_window_that_has_passed_lets_the_next_ones_go(app: Windlass, serving: Serving) -> None:
    """Nobody asks again meanwhile: a timer wakes what waits."""

    @app.task(rate_limits=[RateLimit(dynamic_key="'tick'", limit=2, duration=RateLimitDuration.SECOND)])
    async def tick(number: int) -> int:
        return number

    async with serving(app), asyncio.timeout(30):
        refs = [await tick.aio_delay(i) for i in range(5)]
        assert [await ref.aio_result() for ref in refs] == [0, 1, 2, 3, 4]


async def test_a_limit_that_nobody_has_put_is_an_error(app: Windlass) -> None:
    """At the call, and nothing is stored."""

    @app.task(rate_limits=[RateLimit(static_key="never-put")])
    async def send(to: str) -> None: ...

    with pytest.raises(NotFound, match=r"app\.rate_limits\.put"):
        await send.aio_delay("ann")
