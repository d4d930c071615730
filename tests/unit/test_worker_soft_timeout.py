"""SoftTimeoutExceeded inside tasks: on the loop, in threads, behind what stands round them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import uvloop

from tests.support.attempts import Attempts
from windlass import Context, Depends, SoftTimeoutExceeded, Windlass
from windlass.worker.outcome import Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from windlass import CallNext

SOON: dict[str, Any] = {"soft_timeout_ms": 20}


def _spin() -> None:
    while True:
        sum(range(100))


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_it_comes_up_at_the_await_where_the_task_stands(app: Windlass) -> None:
    """Caught there, what the task then returns counts; it may even await something."""

    @app.task
    async def tidy() -> str:
        try:
            await _for_ever()
        except SoftTimeoutExceeded:
            await asyncio.sleep(0)
            return "tidied up"
        return "never"

    assert await Attempts(app).complete("tidy", execution_timeout_ms=60_000, **SOON) == b'"tidied up"'


async def test_it_comes_up_between_two_steps_of_a_thread(app: Windlass) -> None:
    """The same for a sync task; its thread goes on to the next one."""
    threads: list[int] = []

    @app.task
    def tidy() -> str:
        threads.append(threading.get_ident())
        try:
            _spin()
        except SoftTimeoutExceeded:
            return "tidied up"
        return "never"

    attempts = Attempts(app, slots=1)
    for _ in range(2):
        assert await attempts.complete("tidy", **SOON) == b'"tidied up"'
    assert len(set(threads)) == 1


async def test_uncaught_it_fails_the_attempt(app: Windlass) -> None:
    """As any other error: retryable, with a traceback that shows where the task stood."""

    @app.task
    async def on_loop() -> None:
        await _for_ever()

    @app.task
    def on_thread() -> None:
        _spin()

    attempts = Attempts(app)
    for name, where in (("on_loop", "_for_ever"), ("on_thread", "_spin")):
        failure = await attempts.fail(name, **SOON)
        assert failure.type == "SoftTimeoutExceeded"
        assert failure.message == "the soft timeout of this attempt is over"
        assert not failure.non_retryable
        assert where in failure.traceback
        assert "worker/" not in failure.traceback


async def test_it_comes_up_once(app: Windlass) -> None:
    """A task that passes over it goes on, and is stopped at its execution timeout."""
    told: list[str] = []

    @app.task
    async def deaf() -> None:
        while True:
            try:
                await _for_ever()
            except Exception as error:  # noqa: BLE001 - what users write
                told.append(type(error).__name__)

    failure = await Attempts(app).fail("deaf", execution_timeout_ms=60, **SOON)
    assert (failure.type, told) == ("ExecutionTimeout", ["SoftTimeoutExceeded"])


async def test_a_task_that_never_waits_ends_as_it_is(app: Windlass) -> None:
    """There is no await at which it could come up."""

    @app.task
    async def busy() -> str:
        return "done"

    assert await Attempts(app).complete("busy", soft_timeout_ms=1) == b'"done"'


async def test_time_that_was_over_before_the_first_await_comes_up_there(app: Windlass) -> None:
    """The loop was busy meanwhile."""
    attempts = Attempts(app)

    @app.task
    async def late() -> str:
        attempt = next(iter(attempts.runner._attempts.values()))
        attempt.tell()  # as its timer does, from another callback of the loop
        try:
            await asyncio.sleep(0)
        except SoftTimeoutExceeded:
            return "told"
        return "never"

    assert await attempts.complete("late", soft_timeout_ms=60_000) == b'"told"'


async def test_a_task_group_is_left_in_order(app: Windlass) -> None:
    """Its children are cancelled, and what comes out of it is no group."""
    cancelled: list[int] = []

    async def child(number: int) -> None:
        try:
            await _for_ever()
        finally:
            cancelled.append(number)

    @app.task
    async def parent() -> str:
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(child(1))
                group.create_task(child(2))
        except SoftTimeoutExceeded:
            task = asyncio.current_task()
            return f"left {sorted(cancelled)}, {task.cancelling() if task else None} under way"
        return "never"

    assert await Attempts(app).complete("parent", **SOON) == b'"left [1, 2], 0 under way"'


async def test_what_it_awaits_is_cancelled_and_may_object(app: Windlass) -> None:
    """A subtask that swallows its cancelling does not swallow what the task is told."""

    async def objects() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await _for_ever()
        return "I go on"

    @app.task
    async def parent() -> str:
        try:
            return await asyncio.create_task(objects())
        except SoftTimeoutExceeded:
            return "told"

    assert await Attempts(app).complete("parent", **SOON) == b'"told"'


async def test_a_lock_goes_to_the_next_in_line(app: Windlass) -> None:
    """As if the waiting had been cancelled, which library code knows how to take."""
    lock = asyncio.Lock()

    @app.task
    async def waits() -> str:
        try:
            async with lock:
                return "got it"
        except SoftTimeoutExceeded:
            return "told"

    attempts = Attempts(app)
    await lock.acquire()
    first, second = attempts.start("waits", **SOON), attempts.start("waits")
    outcome = await attempts.outcome(first)
    assert isinstance(outcome, Completion)
    assert outcome.output_json == b'"told"'
    lock.release()
    outcome = await attempts.outcome(second)
    assert isinstance(outcome, Completion)
    assert outcome.output_json == b'"got it"'


async def test_dependencies_and_middleware_see_it_pass(app: Windlass) -> None:
    """Innermost first: the function, then what was opened for it, then the middleware."""
    said: list[str] = []

    async def connection() -> AsyncIterator[None]:
        try:
            yield
        except SoftTimeoutExceeded:
            said.append("dependency")
            raise

    @app.middleware
    async def outer(ctx: Context, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except SoftTimeoutExceeded:
            said.append("middleware")
            return "from the middleware"

    @app.task
    async def on_loop(db: None = Depends(connection)) -> str:
        try:
            await _for_ever()
        finally:
            said.append("function")
        return "never"

    @app.task
    def on_thread(db: None = Depends(connection)) -> str:
        try:
            _spin()
        finally:
            said.append("function")
        return "never"

    attempts = Attempts(app)
    for name in ("on_loop", "on_thread"):
        said.clear()
        assert await attempts.complete(name, **SOON) == b'"from the middleware"'
        assert said == ["function", "dependency", "middleware"]


async def test_middleware_that_takes_too_long_is_told_in_place_of_a_sync_task(app: Windlass) -> None:
    """No thread executes the task yet."""

    @app.middleware
    async def slow(ctx: Context, call_next: CallNext) -> Any:
        await _for_ever()

    @app.task
    def never_begins() -> None: ...

    assert (await Attempts(app).fail("never_begins", **SOON)).type == "SoftTimeoutExceeded"


async def test_a_thread_that_waits_for_its_dependency_is_woken(app: Windlass) -> None:
    """What it waits for on the loop is broken off."""

    async def hangs() -> None:
        await _for_ever()

    @app.task
    def task(db: None = Depends(hangs)) -> None: ...

    assert (await Attempts(app).fail("task", **SOON)).type == "SoftTimeoutExceeded"


async def test_cancelling_in_earnest_goes_first(app: Windlass) -> None:
    """Both came in the same turn of the loop."""
    begun = asyncio.Event()

    @app.task
    async def task() -> str:
        begun.set()
        try:
            await _for_ever()
        except SoftTimeoutExceeded:
            return "told"
        return "never"

    attempts = Attempts(app)
    work = attempts.start("task", soft_timeout_ms=60_000)
    await begun.wait()
    attempt = attempts.runner._attempts[work.lease_id]
    attempt.tell()
    assert attempt.asyncio_task is not None
    attempt.asyncio_task.cancel()
    outcome = await attempts.outcome(work)
    assert not isinstance(outcome, Completion)
    assert outcome.failure.type == "CancelledError"


async def test_an_attempt_that_is_stopped_before_its_first_step_leaves_nothing(app: Windlass) -> None:
    """It is reported all the same."""

    @app.task
    async def never_begins() -> None: ...

    attempts = Attempts(app)
    work = attempts.start("never_begins", soft_timeout_ms=60_000)
    attempts.runner.cancel([work.lease_id], "enough", 0.0)
    await attempts.outcome(work)
    lost = attempts.start("never_begins", soft_timeout_ms=60_000)
    attempts.runner.stop([lost.lease_id], "the lease was lost")
    await attempts.runner.settle(10)
    assert lost.lease_id not in attempts.outcomes


async def test_what_comes_too_late_hits_nobody(app: Windlass) -> None:
    """Tasks that end about when their time does: each completes or is told, and the thread stays whole."""

    @app.task
    def brief() -> str:
        sum(range(40_000))
        return "done"

    attempts = Attempts(app, slots=1)
    for _ in range(150):
        outcome = await attempts.run("brief", soft_timeout_ms=1)
        assert isinstance(outcome, Completion) or outcome.failure.type == "SoftTimeoutExceeded"
        assert await attempts.complete("brief") == b'"done"'


def test_it_works_on_uvloop(app: Windlass) -> None:
    """The loop that workers have where it is installed."""

    @app.task
    async def tidy() -> str:
        try:
            await asyncio.sleep(600)
        except SoftTimeoutExceeded:
            return "tidied up"
        return "never"

    async def main() -> bytes:
        return await Attempts(app).complete("tidy", **SOON)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == b'"tidied up"'
