"""When a lifespan opens and closes, and what becomes of a worker whose lifespan fails."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from windlass import InvalidConfig, LifespanFailed, Windlass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.fake_dispatcher import FakeDispatcher

_ENDS_WITHIN = 15.0


async def test_a_lifespan_that_fails_stops_the_start(dispatcher: FakeDispatcher) -> None:
    """The engine never hears of the worker; what was raised is the cause."""

    async def lifespan() -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    worker = Windlass(config=dispatcher.config()).worker("w", lifespan=lifespan)
    with pytest.raises(LifespanFailed, match=r"test_worker_lifespan\.py:\d+ .*ConnectionError: no database") as raised:
        await worker.aio_start()
    assert isinstance(raised.value.__cause__, ConnectionError)
    await worker.aio_stop()
    assert dispatcher.hellos == []


async def test_a_lifespan_that_never_yields_stops_the_start(dispatcher: FakeDispatcher) -> None:
    """It says so."""

    async def lifespan() -> AsyncIterator[None]:
        if app.tasks:
            yield

    app = Windlass(config=dispatcher.config())

    with pytest.raises(LifespanFailed, match="didn't yield"):
        await app.worker("w", lifespan=lifespan).aio_start()


def test_start_raises_what_its_lifespan_raised(dispatcher: FakeDispatcher) -> None:
    """A worker process ends with it, and does not hang."""

    async def lifespan() -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    app = Windlass(config=dispatcher.config(), lifespan=lifespan)
    with pytest.raises(LifespanFailed, match="no database"):
        app.worker("w").start()


def test_a_worker_that_is_told_to_stop_while_it_opens_breaks_it_off(dispatcher: FakeDispatcher) -> None:
    """What had been opened is closed again."""
    opening, closed = threading.Event(), threading.Event()

    async def lifespan() -> AsyncIterator[None]:
        try:
            opening.set()
            await asyncio.Event().wait()
            yield
        finally:
            closed.set()

    worker = Windlass(config=dispatcher.config()).worker("w", lifespan=lifespan)
    thread = threading.Thread(target=worker.start)
    thread.start()
    assert opening.wait(10)
    worker.stop(timeout=_ENDS_WITHIN)
    thread.join(_ENDS_WITHIN)
    assert closed.is_set()
    assert not thread.is_alive()
    assert dispatcher.hellos == []


async def test_a_workers_own_lifespan_stands_in_for_the_applications(dispatcher: FakeDispatcher) -> None:
    """The application's is for workers that have no other, as those of the command line."""
    opened: list[str] = []

    async def ours() -> AsyncIterator[None]:
        opened.append("application's")
        yield

    async def mine() -> AsyncIterator[None]:
        opened.append("worker's")
        yield

    app = Windlass(config=dispatcher.config(), lifespan=ours)
    for worker in (app.worker("one"), app.worker("two", lifespan=mine)):
        await worker.aio_start()
        await worker.aio_stop()
    assert opened == ["application's", "worker's"]


async def test_a_lifespan_is_left_in_the_task_that_entered_it(dispatcher: FakeDispatcher) -> None:
    """Task groups and cancel scopes ask for that, whoever starts and stops the worker."""
    tasks: list[Any] = []

    async def lifespan() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        async with asyncio.TaskGroup():
            yield
        tasks.append(asyncio.current_task())

    worker = Windlass(config=dispatcher.config()).worker("w", lifespan=lifespan)
    await asyncio.create_task(worker.aio_start())
    await asyncio.gather(worker.aio_stop(), worker.aio_stop())
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


async def test_a_lifespan_that_ends_by_itself_drains_the_worker(
    dispatcher: FakeDispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    """What its tasks rely on is gone."""
    failing = asyncio.Event()

    async def fail() -> None:
        await failing.wait()
        raise ConnectionError("the pool is gone")

    async def lifespan() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            yield

    worker = Windlass(config=dispatcher.config()).worker("w", lifespan=lifespan)
    await worker.aio_start()
    failing.set()
    await asyncio.wait_for(worker.aio_wait(), _ENDS_WITHIN)
    assert "ended by itself: the worker drains" in caplog.text
    assert "the pool is gone" in caplog.text


async def test_a_failure_while_it_closes_is_logged(
    dispatcher: FakeDispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker has ended all the same."""

    async def lifespan() -> AsyncIterator[None]:
        yield
        raise ConnectionError("lost before it was closed")

    worker = Windlass(config=dispatcher.config()).worker("w", lifespan=lifespan)
    await worker.aio_start()
    await worker.aio_stop()
    assert "lost before it was closed" in caplog.text


def test_what_is_no_async_generator_is_refused() -> None:
    """When the worker is made, with the form that it should have."""

    async def lifespan() -> None: ...

    with pytest.raises(InvalidConfig, match=r"`async def lifespan\(\): \.\.\.; yield value"):
        Windlass().worker("w", lifespan=lifespan)  # type: ignore[arg-type]
