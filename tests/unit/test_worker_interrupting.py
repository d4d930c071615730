"""Attempts that are made to end: at their timeout, when they are cancelled, when their lease is lost."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

import pytest

from tests.support.attempts import Attempts
from tests.support.scripted_dispatcher import assignment
from windlass import Context, Windlass  # noqa: TC001 - read at run time, by the decorator
from windlass.worker.outcome import Completion


async def test_an_async_task_is_stopped_at_its_timeout(app: Windlass) -> None:
    """It may clean up; the traceback shows where it hung."""
    cleaned = asyncio.Event()

    @app.task
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    failure = await Attempts(app).fail("hang", execution_timeout_ms=20)
    assert failure.type == "ExecutionTimeout"
    assert "0.02 s" in failure.message
    assert "hang" in failure.traceback
    assert cleaned.is_set()


async def test_a_result_that_comes_after_the_timeout_does_not_count(app: Windlass) -> None:
    """Swallowing the cancellation changes nothing."""

    @app.task
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"
        return "never"

    assert (await Attempts(app).fail("stubborn", execution_timeout_ms=20)).type == "ExecutionTimeout"


async def test_a_stuck_sync_task_is_reported_at_its_timeout_and_replaced(app: Windlass) -> None:
    """Its thread is given up: with one slot the next task still runs; its late result is dropped."""
    release, left = threading.Event(), threading.Event()

    @app.task
    def stuck() -> str:
        try:
            release.wait(10)
            return "late"
        finally:
            left.set()

    @app.task
    def next_one() -> int:
        return 1

    attempts = Attempts(app, slots=1)
    failure = await attempts.fail("stuck", execution_timeout_ms=300)  # after its thread has begun
    assert failure.type == "ExecutionTimeout"
    assert "release.wait" in failure.traceback
    assert await attempts.complete("next_one") == b"1"
    release.set()
    assert await asyncio.to_thread(left.wait, 10)


async def test_a_busy_sync_task_is_interrupted_at_its_timeout(app: Windlass) -> None:
    """An exception is raised in it between two bytecodes; `except Exception` does not catch it."""
    stopped = threading.Event()

    @app.task
    def spin() -> None:
        try:
            while True:
                with contextlib.suppress(Exception):  # what users write
                    sum(range(100))
        finally:
            stopped.set()

    failure = await Attempts(app).fail("spin", execution_timeout_ms=300)  # after its thread has begun
    assert failure.type == "ExecutionTimeout"
    assert await asyncio.to_thread(stopped.wait, 10)


async def test_cancelling_is_seen_at_once_and_enforced_after_the_grace(app: Windlass) -> None:
    """A task that looks at is_cancelled ends by itself, another gets CancelledError."""
    begun = asyncio.Event()

    @app.task
    async def polite(ctx: Context) -> str:
        begun.set()
        while not ctx.is_cancelled:  # noqa: ASYNC110 - what users write
            await asyncio.sleep(0)
        return ctx.cancel_reason

    @app.task
    async def deaf() -> None:
        begun.set()
        await asyncio.Event().wait()

    attempts = Attempts(app)
    for name, grace in (("polite", 60.0), ("deaf", 0.0)):
        begun.clear()
        work = attempts.start(name)
        await begun.wait()
        attempts.runner.cancel([work.lease_id], "enough", grace)
        outcome = await attempts.outcome(work)
        if name == "polite":
            assert isinstance(outcome, Completion)
            assert outcome.output_json == b'"enough"'
        else:
            assert not isinstance(outcome, Completion)
            assert outcome.failure.type == "CancelledError"


async def test_a_sync_task_sees_the_cancel_though_the_loop_is_busy(app: Windlass) -> None:
    """is_cancelled is set by whoever brings the news, not by the loop."""
    begun, seen = threading.Event(), threading.Event()

    @app.task
    def polite(ctx: Context) -> None:
        begun.set()
        while not ctx.is_cancelled:
            pass
        seen.set()

    attempts = Attempts(app)
    work = attempts.start("polite")
    assert await asyncio.to_thread(begun.wait, 10)
    attempts.runner.cancel([work.lease_id], "enough", 60.0)
    assert seen.wait(10), "and the loop is blocked here"
    await attempts.outcome(work)


async def test_a_deaf_sync_task_is_given_up_after_the_grace(app: Windlass) -> None:
    """The run ends, whatever the thread does."""
    begun, release = threading.Event(), threading.Event()

    @app.task
    def deaf() -> None:
        begun.set()
        release.wait(10)

    attempts = Attempts(app, slots=1)
    work = attempts.start("deaf")
    assert await asyncio.to_thread(begun.wait, 10)
    attempts.runner.cancel([work.lease_id], "enough", 0.0)
    outcome = await attempts.outcome(work)
    assert not isinstance(outcome, Completion)
    assert outcome.failure.type == "TaskInterrupted"
    release.set()


async def test_cancelled_before_its_first_step_is_reported_too(app: Windlass) -> None:
    """Its body never runs."""
    if sys.version_info >= (3, 12):
        pytest.skip("tasks start eagerly")

    @app.task
    async def never() -> None:
        raise AssertionError

    attempts = Attempts(app)
    work = assignment("never")
    attempts.runner._start([work])
    attempts.runner._enforce(attempts.runner._attempts[work.lease_id])
    outcome = await attempts.outcome(work)
    assert not isinstance(outcome, Completion)
    assert outcome.failure.type == "CancelledError"


async def test_what_is_stopped_is_not_reported(app: Windlass) -> None:
    """Its lease is somebody else's now; it is cancelled here, on the loop and on threads."""
    begun = threading.Semaphore(0)
    ended = threading.Semaphore(0)

    @app.task
    async def on_loop() -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.release()

    @app.task
    def on_thread() -> None:
        begun.release()
        try:
            while True:
                pass
        finally:
            ended.release()

    attempts = Attempts(app)
    leases = [attempts.start(name).lease_id for name in ("on_loop", "on_thread")]
    for _ in leases:
        assert await asyncio.to_thread(begun.acquire, timeout=10)
    attempts.runner.stop(leases, "lost")
    for _ in leases:
        assert await asyncio.to_thread(ended.acquire, timeout=10)
    await attempts.runner.settle(1.0)
    assert attempts.outcomes == {}
