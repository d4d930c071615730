"""Executing attempts: what ends how, and what is reported of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

import pytest
from typing_extensions import override

from tests.support.attempts import Attempts
from tests.support.scripted_dispatcher import assignment
from windlass import Context, NonRetryableException, Windlass
from windlass.context import current
from windlass.worker.failure import MESSAGE_BYTES, TRACEBACK_BYTES
from windlass.worker.outcome import Completion, FailedAttempt


@pytest.fixture
def app() -> Windlass:
    """An app that never connects."""
    return Windlass()


async def test_async_and_sync_tasks_complete(app: Windlass) -> None:
    """The output is what the function returned, as JSON."""

    @app.task
    async def on_loop(number: int) -> int:
        return number + 1

    @app.task
    def on_thread(number: int) -> list[int]:
        return [number]

    attempts = Attempts(app)
    assert await attempts.complete("on_loop", b'{"number": 1}') == b"2"
    assert await attempts.complete("on_thread", b'{"number": 1}') == b"[1]"


async def test_a_batch_reports_in_one_piece(app: Windlass) -> None:
    """All that ends in one turn of the loop travels together."""

    @app.task
    async def nothing() -> None: ...

    attempts = Attempts(app, slots=50)
    batch = [assignment("nothing") for _ in range(50)]
    attempts.runner.start(batch)
    for work in batch:
        await attempts.outcome(work)
    assert [len(each) for each in attempts.batches] == [50]


async def test_the_context_is_the_attempts_own(app: Windlass) -> None:
    """Found through the parameter and through the context variable, on the loop and on threads."""

    @app.task
    async def on_loop(ctx: Context) -> list[str]:
        assert current.get() is ctx
        await asyncio.sleep(0)
        return [ctx.workflow_run_id, ctx.worker_id, ctx.worker_labels["zone"]]

    @app.task
    def on_thread(ctx: Context) -> bool:
        return current.get() is ctx

    attempts = Attempts(app)
    work = attempts.start("on_loop")
    outcome = await attempts.outcome(work)
    assert isinstance(outcome, Completion)
    assert outcome.output_json == f'["{work.run_id}","worker-id","a"]'.encode()
    assert await attempts.complete("on_thread") == b"true"
    assert current.get() is None


async def test_an_exception_is_described_without_our_own_frames(app: Windlass) -> None:
    """Type, message, and a traceback that begins in the user's code."""

    class Outer:
        class BrokenPipe(Exception):
            """Nested, so that its qualified name has parts."""

    @app.task
    async def on_loop() -> None:
        raise Outer.BrokenPipe("no water")

    @app.task
    def on_thread() -> None:
        raise Outer.BrokenPipe("no water")

    attempts = Attempts(app)
    for name in ("on_loop", "on_thread"):
        failure = await attempts.fail(name)
        assert (failure.type, failure.message) == ("BrokenPipe", "no water")
        assert list(failure.base_types) == ["Exception", "BaseException"]
        assert not failure.non_retryable
        first_frame = failure.traceback.splitlines()[1]
        assert "test_worker_runner.py" in first_frame
        assert name in first_frame


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError("own")])
async def test_a_task_cannot_end_the_worker(app: Windlass, error: BaseException) -> None:
    """Whatever it raises is its own failure, and the next task runs."""

    @app.task
    async def on_loop() -> None:
        raise error

    @app.task
    def on_thread() -> None:
        raise error

    @app.task
    async def fine() -> None: ...

    attempts = Attempts(app, slots=1)
    for name in ("on_loop", "on_thread"):
        assert (await attempts.fail(name)).type == type(error).__name__
    assert await attempts.complete("fine") == b"null"


async def test_what_cannot_succeed_is_marked(app: Windlass) -> None:
    """Bad input, outputs that cannot travel, and NonRetryableException with its children."""

    class Final(NonRetryableException):
        """The user's own."""

    @app.task
    async def give_up() -> None:
        raise Final("no use")

    @app.task
    async def not_json() -> object:
        return object()

    @app.task
    async def large() -> str:
        return "x" * 200

    @app.task
    async def takes(number: int) -> int:
        return number

    attempts = Attempts(app)
    attempts.runner.max_payload = 100
    expected = {
        "give_up": "Final",
        "not_json": "SerializationError",
        "large": "PayloadTooLarge",
        "takes": "InvalidInput",
    }
    for name, kind in expected.items():
        failure = await attempts.fail(name, b'{"number": "many"}' if name == "takes" else b"{}")
        assert (failure.type, failure.non_retryable) == (kind, True)
    assert "number" in (await attempts.fail("takes", b'{"number": "many"}')).message


async def test_an_unknown_task_fails_and_names_the_known(app: Windlass) -> None:
    """Another worker may have it: it may be retried."""

    @app.task
    async def known() -> None: ...

    failure = await Attempts(app).fail("unknown")
    assert failure.type == "UnknownTask"
    assert "known" in failure.message
    assert not failure.non_retryable


async def test_long_and_strange_texts_are_made_to_fit(app: Windlass) -> None:
    """Cut to their limits in bytes; what has no UTF-8 form is escaped; str() may fail."""

    class Mute(Exception):
        """Cannot be shown."""

        @override
        def __str__(self) -> str:
            raise RuntimeError("no")

    @app.task
    async def long() -> None:
        raise ValueError("ü" * MESSAGE_BYTES)

    @app.task
    async def strange() -> None:
        raise ValueError("half \ud800 of it")

    @app.task
    async def mute() -> None:
        raise Mute

    attempts = Attempts(app)
    failure = await attempts.fail("long")
    assert len(failure.message.encode()) <= MESSAGE_BYTES
    assert len(failure.traceback.encode()) <= TRACEBACK_BYTES
    assert "\n  ...\n" in failure.traceback
    assert (await attempts.fail("strange")).message == "half \\ud800 of it"
    assert "RuntimeError" in (await attempts.fail("mute")).message


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


async def test_log_lines_carry_run_and_attempt(app: Windlass) -> None:
    """And are bounded."""

    @app.task
    async def talk(ctx: Context) -> None:
        ctx.log("x" * MESSAGE_BYTES * 2, level="error")
        await ctx.aio_cancel()

    attempts = Attempts(app)
    work = attempts.start("talk", attempt=3)
    await attempts.outcome(work)
    (entry,) = attempts.lines
    assert (entry.run_id, entry.line.level, entry.line.attempt) == (work.run_id, "ERROR", 3)
    assert len(entry.line.message) == MESSAGE_BYTES
    assert attempts.cancelled == [work.run_id]


async def test_idle_threads_are_used_again(app: Windlass) -> None:
    """One after another needs one thread."""

    @app.task
    def name() -> str:
        return threading.current_thread().name

    attempts = Attempts(app, slots=4)
    names = set()
    for _ in range(5):
        names.add(await attempts.complete("name"))
        async with asyncio.timeout(10):
            while not attempts.runner._threads._parked:  # noqa: ASYNC110 - threads tell no loop
                await asyncio.sleep(0)
    assert len(names) == 1


async def test_a_burst_of_sync_tasks_has_a_thread_each(app: Windlass) -> None:
    """None waits for another, however the threads came to be: they all meet at one barrier."""
    barrier = threading.Barrier(8)

    @app.task
    def meet() -> int:
        return int(barrier.wait(10) >= 0)

    @app.task
    def quick() -> None: ...

    attempts = Attempts(app, slots=8)
    for burst in range(1, 8):
        for work in [attempts.start("quick") for _ in range(burst)]:
            await attempts.outcome(work)
        for work in [attempts.start("meet") for _ in range(8)]:
            assert isinstance(await attempts.outcome(work), Completion)
    assert attempts.runner._threads._active == 8


async def test_what_comes_beyond_the_slots_waits_for_one(app: Windlass) -> None:
    """On the loop and on threads together; one that is stopped while it waits never begins."""
    begun: list[str] = []
    release = threading.Event()
    go_on = asyncio.Event()

    @app.task
    def on_thread(name: str) -> None:
        begun.append(name)
        release.wait(10)

    @app.task
    async def on_loop(name: str) -> None:
        begun.append(name)
        await go_on.wait()

    attempts = Attempts(app, slots=1)
    first = attempts.start("on_loop", b'{"name": "first"}')
    second = attempts.start("on_thread", b'{"name": "second"}')
    unwanted = attempts.start("on_loop", b'{"name": "unwanted"}')
    last = attempts.start("on_loop", b'{"name": "last"}')
    attempts.runner.cancel([unwanted.lease_id], "not needed", grace=0)
    assert isinstance(await attempts.outcome(unwanted), FailedAttempt)
    assert begun == ["first"]
    go_on.set()
    await attempts.outcome(first)
    release.set()
    await attempts.outcome(second)
    await attempts.outcome(last)
    assert begun == ["first", "second", "last"]
