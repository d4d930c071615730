"""Middleware round attempts: what it changes and catches, and how it is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attempts import Attempts
from tests.support.until import aio_until
from windlass import Depends, InvalidTask, Windlass
from windlass.context import current
from windlass.worker.outcome import FailedAttempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from windlass import CallNext, Context

_seen: ContextVar[str] = ContextVar("seen", default="")


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_it_runs_on_the_loop_and_its_context_variables_reach_the_task(app: Windlass, task: str) -> None:
    """Round sync tasks too, dependencies inside."""
    said: list[str] = []

    def connection() -> Iterator[None]:
        said.append("opens")
        yield
        said.append("closes")

    @app.middleware
    async def outer(ctx: Context, call_next: CallNext) -> Any:
        assert asyncio.get_running_loop() is loop
        said.append("outer")
        _seen.set("set outside")
        output = await call_next()
        said.append("left")
        return [output]

    @app.middleware
    async def inner(ctx: Context, call_next: CallNext) -> Any:
        said.append("inner")
        return [await call_next()]

    @app.task
    async def on_loop(one: None = Depends(connection)) -> Any:
        assert current.get() is not None
        return _seen.get()

    @app.task
    def on_thread(one: None = Depends(connection)) -> Any:
        assert current.get() is not None
        return _seen.get()

    loop = asyncio.get_running_loop()
    assert await Attempts(app).complete(task) == b'[["set outside"]]'
    assert said == ["outer", "inner", "opens", "closes", "left"]
    assert _seen.get() == ""


@pytest.mark.parametrize("task", ["on_loop", "on_thread"])
async def test_it_may_catch_replace_and_leave_out(app: Windlass, task: str) -> None:
    """A failure, an input that does not fit, or the whole task; never call twice."""

    @app.middleware
    async def mw(ctx: Context, call_next: CallNext) -> Any:
        if ctx.workflow_input.get("number") == 0:
            return "not called"
        try:
            return await call_next()
        except ConnectionError:
            return "caught"
        except ValueError as error:
            raise LookupError("replaced") from error
        finally:
            if ctx.workflow_input.get("number") == 2:
                await call_next()

    @app.task
    async def on_loop(number: int) -> str:
        raise ConnectionError

    @app.task
    def on_thread(number: int) -> str:
        raise ConnectionError

    attempts = Attempts(app)
    assert await attempts.complete(task, b'{"number": 0}') == b'"not called"'
    assert await attempts.complete(task, b'{"number": 1}') == b'"caught"'
    assert "another attempt's" in (await attempts.fail(task, b'{"number": 2}')).message
    assert (await attempts.fail(task, b"{}")).type == "LookupError"


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_sync_task_inside_is_interrupted(app: Windlass, how: str) -> None:
    """The middleware is told at once, and the thread is given up."""
    begun, ended = threading.Event(), threading.Event()
    told: list[str] = []

    @app.middleware
    async def mw(ctx: Context, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    @app.task
    def busy() -> None:
        try:
            begun.set()
            while True:
                time.monotonic()
        finally:
            ended.set()

    @app.task
    def quick() -> int:
        return 1

    attempts = Attempts(app, slots=1)
    work = attempts.start("busy", execution_timeout_ms=50 if how == "timeout" else 0)
    await aio_until(begun.is_set, "it runs")
    if how == "cancel":
        attempts.runner.cancel([work.lease_id], "enough", 0)
    outcome = await attempts.outcome(work)
    assert isinstance(outcome, FailedAttempt)
    assert outcome.failure.type == ("ExecutionTimeout" if how == "timeout" else "CancelledError")
    assert told == ["cancelled"]
    await aio_until(ended.is_set, "its thread was interrupted")
    assert await attempts.complete("quick") == b"1"


def test_what_is_no_middleware_is_refused(app: Windlass) -> None:
    """With the form that it should have."""
    with pytest.raises(InvalidTask, match=r"test_worker_middleware.py:\d+ .*`async def mw\(ctx: Context, call_next"):

        @app.middleware  # type: ignore[type-var]
        def mw(ctx: Context, call_next: CallNext) -> None: ...
