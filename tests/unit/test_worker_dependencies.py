"""Dependencies round attempts on a worker: order, threads, failures, cancelling, timeouts."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Annotated

import pytest

from tests.support.attempts import Attempts
from tests.support.until import aio_until
from windlass import Context, Depends, Windlass
from windlass.context import current
from windlass.worker.outcome import FailedAttempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def said() -> list[str]:
    """What happened, in order."""
    return []


async def test_they_open_in_order_once_and_close_in_reverse(app: Windlass, said: list[str]) -> None:
    """Two that share a third get the same one; another attempt gets another."""

    async def outer() -> AsyncIterator[object]:
        said.append("outer opens")
        yield object()
        said.append("outer closes")

    def left(on: Annotated[object, Depends(outer)]) -> Iterator[object]:
        said.append("left opens")
        yield on
        said.append("left closes")

    async def right(on: Annotated[object, Depends(outer)]) -> object:
        return on

    seen: list[object] = []

    @app.task
    async def on_loop(one: object = Depends(left), other: object = Depends(right)) -> bool:
        said.append("task")
        seen.append(one)
        return one is other

    @app.task
    def on_thread(one: object = Depends(left), other: object = Depends(right)) -> bool:
        said.append("task")
        seen.append(one)
        return one is other

    attempts = Attempts(app)
    for task in ("on_loop", "on_thread"):
        assert await attempts.complete(task) == b"true"
        assert said == ["outer opens", "left opens", "task", "left closes", "outer closes"]
        said.clear()
    assert seen[0] is not seen[1]


async def test_sync_ones_of_a_sync_task_share_its_thread_and_async_ones_run_on_the_loop(app: Windlass) -> None:
    """A connection that belongs to its thread is used, and closed, there."""
    threads: list[int] = []
    loops: list[object] = []

    def connection() -> Iterator[None]:
        threads.append(threading.get_ident())
        yield
        threads.append(threading.get_ident())

    async def client(ctx: Context) -> AsyncIterator[None]:
        assert current.get() is ctx
        async with asyncio.timeout(10), asyncio.TaskGroup():  # both have to be left in the task that entered them
            loops.append(asyncio.current_task())
            yield
        loops.append(asyncio.current_task())

    @app.task
    def task(one: None = Depends(connection), two: None = Depends(client)) -> None:
        threads.append(threading.get_ident())

    await Attempts(app).complete("task")
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert loops[0] is loops[1]


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_they_see_a_failure_and_cannot_swallow_it(app: Windlass, said: list[str], task: str) -> None:
    """Else a forgotten `raise` would make a success of it."""

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        except ConnectionError:
            said.append("rollback")

    def inner() -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            said.append("swallowed")

    @app.task
    async def on_loop(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        raise ConnectionError("of the task")

    @app.task
    def on_thread(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        raise ConnectionError("of the task")

    failure = await Attempts(app).fail(task)
    assert failure.message == "of the task"
    assert said == ["swallowed", "rollback"]
    assert "resolution.py" not in failure.traceback
    assert "contextlib" not in failure.traceback


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_a_failure_while_closing_fails_an_attempt_that_had_succeeded(
    app: Windlass, said: list[str], task: str
) -> None:
    """A commit that does not work is no success; those opened before it see it."""

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        except ValueError:
            said.append("saw it")
            raise

    def inner() -> Iterator[None]:
        yield
        raise ValueError("no commit")

    @app.task
    async def on_loop(one: None = Depends(outer), two: None = Depends(inner)) -> int:
        return 1

    @app.task
    def on_thread(one: None = Depends(outer), two: None = Depends(inner)) -> int:
        return 1

    failure = await Attempts(app).fail(task)
    assert (failure.type, failure.message) == ("ValueError", "no commit")
    assert said == ["saw it"]


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_a_failure_while_closing_after_a_failure_is_logged(
    app: Windlass, said: list[str], caplog: pytest.LogCaptureFixture, task: str
) -> None:
    """The first one counts, and the others close all the same."""

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        finally:
            said.append("closed")

    def inner() -> Iterator[None]:
        try:
            yield
        finally:
            raise ValueError("cannot close")

    @app.task
    async def on_loop(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        raise ConnectionError("of the task")

    @app.task
    def on_thread(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        raise ConnectionError("of the task")

    attempts = Attempts(app)
    assert (await attempts.fail(task)).type == "ConnectionError"
    assert said == ["closed"]
    assert "cannot close" in caplog.text
    assert "cannot close" in attempts.lines[0].line.message


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
async def test_one_that_fails_to_open_fails_the_attempt(
    app: Windlass, said: list[str], task: str, error: type[BaseException]
) -> None:
    """Whatever it raises; the function is not called, and what had been opened closes."""

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        finally:
            said.append("closed")

    async def inner() -> AsyncIterator[None]:
        raise error("no database")
        yield

    @app.task
    async def on_loop(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        said.append("called")

    @app.task
    def on_thread(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        said.append("called")

    attempts = Attempts(app)
    assert (await attempts.fail(task)).type == error.__name__
    assert said == ["closed"]


async def test_an_output_that_cannot_travel_is_found_while_they_are_open(app: Windlass, said: list[str]) -> None:
    """What it did is rolled back, then."""

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except TypeError:
            said.append("rollback")
            raise

    @app.task
    async def task(one: None = Depends(transaction)) -> object:
        return object()

    assert (await Attempts(app).fail("task")).type == "SerializationError"
    assert said == ["rollback"]


@pytest.mark.parametrize("where", ["opening", "body"])
async def test_cancelling_an_async_task_closes_them(app: Windlass, said: list[str], where: str) -> None:
    """Wherever it hits; closing may wait for what it needs."""
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0)
            said.append("closed")

    async def inner() -> None:
        if where == "opening":
            await wait()

    @app.task
    async def task(one: None = Depends(outer), two: None = Depends(inner)) -> None:
        await wait()

    attempts = Attempts(app)
    work = attempts.start("task")
    await begun.wait()
    attempts.runner.cancel([work.lease_id], "enough", 0)
    outcome = await attempts.outcome(work)
    assert isinstance(outcome, FailedAttempt)
    assert outcome.failure.type == "CancelledError"
    assert said == ["closed"]


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_a_timeout_inside_a_dependency_is_the_attempts(app: Windlass, said: list[str], task: str) -> None:
    """An async one that hangs is broken off, for a task on a thread too, and the others close."""

    def outer() -> Iterator[None]:
        try:
            yield
        finally:
            said.append("closed")

    async def hangs() -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            said.append("broken off")

    @app.task
    async def on_loop(one: None = Depends(outer), two: None = Depends(hangs)) -> None: ...

    @app.task
    def on_thread(one: None = Depends(outer), two: None = Depends(hangs)) -> None: ...

    failure = await Attempts(app).fail(task, execution_timeout_ms=50)
    assert failure.type == "ExecutionTimeout"
    await aio_until(lambda: said == ["broken off", "closed"], "it was broken off and closed")


async def test_a_sync_task_that_is_interrupted_closes_them(app: Windlass, said: list[str]) -> None:
    """On its thread, once it has been stopped; the outcome does not wait for that."""

    def connection() -> Iterator[None]:
        try:
            yield
        finally:
            said.append("closed")

    async def client() -> AsyncIterator[None]:
        try:
            yield
        finally:
            said.append("client closed")

    begun = threading.Event()

    @app.task
    def busy(one: None = Depends(client), two: None = Depends(connection)) -> None:
        begun.set()
        while True:
            time.monotonic()

    attempts = Attempts(app)
    work = attempts.start("busy")
    assert await asyncio.to_thread(begun.wait, 10)
    attempts.runner.stop([work.lease_id], "lost")
    await aio_until(lambda: said == ["closed", "client closed"], "both are closed")
    assert attempts.outcomes == {}


async def test_overrides_count_on_a_worker_too(app: Windlass) -> None:
    """From the next attempt on."""

    def real() -> str:
        return "real"

    @app.task
    async def task(who: str = Depends(real)) -> str:
        return who

    attempts = Attempts(app)
    assert await attempts.complete("task") == b'"real"'
    app.dependency_overrides[real] = lambda: "fake"
    assert await attempts.complete("task") == b'"fake"'
