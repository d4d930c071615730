"""Executing attempts: where they run, what they see, and what is reported of those that go well."""

from __future__ import annotations

import asyncio
import threading

from tests.support.attempts import Attempts
from tests.support.scripted_dispatcher import assignment
from windlass import Context, Windlass  # noqa: TC001 - read at run time, by the decorator
from windlass.context import current
from windlass.worker.failure import MESSAGE_BYTES
from windlass.worker.outcome import Completion, FailedAttempt


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
