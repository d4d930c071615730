"""How many runs may be under way at a time: in all, or for each value of a key."""

import asyncio
from collections import Counter

import pytest

from tests.fundamentals.conftest import Serving
from windlass import ConcurrencyExpression, ConcurrencyLimitStrategy, RunCancelled, Windlass


async def test_a_number_is_for_all_runs_together(app: Windlass, serving: Serving) -> None:
    """However many slots there are."""
    running: list[str] = []

    @app.task(concurrency=2)
    async def import_file(name: str) -> int:
        running.append(name)
        await asyncio.sleep(0.01)
        at_once = len(running)
        running.remove(name)
        return at_once

    async with serving(app, slots=10):
        refs = [await import_file.aio_delay(str(i)) for i in range(10)]
        assert {await ref.aio_result(timeout=30) for ref in refs} <= {1, 2}


async def test_each_key_has_its_own_permits(app: Windlass, serving: Serving) -> None:
    """The key is a CEL expression over `input` and `metadata`."""
    running: Counter[str] = Counter()

    @app.task(concurrency=ConcurrencyExpression("input.user", max_runs=1))
    async def sync_user(user: str, part: int) -> int:
        running[user] += 1
        await asyncio.sleep(0.01)
        at_once = running[user]
        running[user] -= 1
        return at_once

    async with serving(app, slots=10):
        refs = [await sync_user.aio_delay(user, part) for part in range(3) for user in ("ann", "bob")]
        assert {await ref.aio_result(timeout=30) for ref in refs} == {1}


async def test_keys_take_turns(app: Windlass, serving: Serving) -> None:
    """Whoever asks for little is not kept waiting by whoever asked for much before."""
    order: list[str] = []

    @app.task(concurrency=ConcurrencyExpression("input.user", max_runs=1))
    async def render(user: str) -> None:
        order.append(user)

    much = [await render.aio_delay("much") for _ in range(50)]
    little = [await render.aio_delay(f"user-{i}") for i in range(5)]
    async with serving(app, slots=1):
        for ref in (*much, *little):
            await ref.aio_result(timeout=30)
    assert set(order[:12]) == {"much", *(f"user-{i}" for i in range(5))}


async def test_the_newest_run_takes_the_place_of_the_oldest(app: Windlass, serving: Serving) -> None:
    """CANCEL_IN_PROGRESS: only the latest state of a thing is worth working on."""
    latest = ConcurrencyLimitStrategy.CANCEL_IN_PROGRESS
    started = asyncio.Event()

    @app.task(concurrency=ConcurrencyExpression("input.page", max_runs=1, limit_strategy=latest))
    async def preview(page: str, text: str) -> str:
        started.set()
        if text == "old":
            await asyncio.Event().wait()
        return text

    async with serving(app):
        old = await preview.aio_delay("home", "old")
        await started.wait()
        new = await preview.aio_delay("home", "new")
        assert await new.aio_result(timeout=30) == "new"
        with pytest.raises(RunCancelled, match="newer run"):
            await old.aio_result(timeout=30)


async def test_a_run_too_many_is_cancelled(app: Windlass, serving: Serving) -> None:
    """CANCEL_NEWEST: what is under way already need not be begun again."""
    once = ConcurrencyLimitStrategy.CANCEL_NEWEST
    started, finish = asyncio.Event(), asyncio.Event()

    @app.task(concurrency=ConcurrencyExpression("input.report", max_runs=1, limit_strategy=once))
    async def build(report: str) -> str:
        started.set()
        await finish.wait()
        return report

    async with serving(app):
        first = await build.aio_delay("sales")
        await started.wait()
        second = await build.aio_delay("sales")
        with pytest.raises(RunCancelled):
            await second.aio_result(timeout=30)
        finish.set()
        assert await first.aio_result(timeout=30) == "sales"
