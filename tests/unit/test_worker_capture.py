"""Log records of tasks: which of them are kept with the run, and what that does to everybody else."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.support.attempts import Attempts
from tests.support.fake_dispatcher import fake_dispatcher
from windlass import Context, Windlass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_log = logging.getLogger("tests.capture")


@pytest.fixture
async def attempts(app: Windlass) -> AsyncIterator[Attempts]:
    """A runner that captures."""
    running = Attempts(app, capture_logs=True)
    yield running
    await running.runner.settle(1)


def _captures() -> list[logging.Handler]:
    """The handlers that runners have put on the root logger."""
    return [each for each in logging.getLogger().handlers if type(each).__module__ == "windlass.worker.capture"]


def _told(attempts: Attempts) -> list[tuple[str, str]]:
    return [(entry.line.level, entry.line.message) for entry in attempts.lines]


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_records_become_lines_of_the_attempt(
    app: Windlass, attempts: Attempts, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the order in which they and `ctx.log` lines were written, with the lease."""
    caplog.set_level(1, "tests.capture")

    def say(ctx: Context) -> None:
        for number in (5, 10, 20, 25, 30, 40, 50, 60):
            _log.log(number, "at %d", number)
        ctx.log("own")

    async def aio_say(ctx: Context) -> None:
        await asyncio.sleep(0)
        say(ctx)

    if how == "async":
        app.task(name="say")(aio_say)
    else:
        app.task(name="say")(say)
    work = attempts.start("say")
    await attempts.outcome(work)
    levels = ["DEBUG", "DEBUG", "INFO", "INFO", "WARNING", "ERROR", "CRITICAL", "CRITICAL"]
    numbers = (5, 10, 20, 25, 30, 40, 50, 60)
    assert _told(attempts) == [
        *((level, f"at {number}") for level, number in zip(levels, numbers, strict=True)),
        ("INFO", "own"),
    ]
    assert {entry.lease_id for entry in attempts.lines} == {work.lease_id}


async def test_the_loggers_own_level_decides(
    app: Windlass, attempts: Attempts, caplog: pytest.LogCaptureFixture
) -> None:
    """What a logger lets through is kept; the rest is not even made."""
    caplog.set_level(logging.ERROR, "tests.capture")

    @app.task
    async def say() -> None:
        _log.warning("no")
        _log.error("yes")

    await attempts.complete("say")
    assert _told(attempts) == [("ERROR", "yes")]


async def test_threads_that_copied_the_context_belong_to_the_task(app: Windlass, attempts: Attempts) -> None:
    """`to_thread` does it by itself; a thread with a context of its own is nobody's."""

    @app.task
    async def say() -> None:
        await asyncio.to_thread(_log.warning, "copied by asyncio")
        for call in (lambda: copy.run(_log.warning, "copied by hand"), lambda: fresh.run(_log.warning, "not copied")):
            thread = threading.Thread(target=call)
            thread.start()
            await asyncio.to_thread(thread.join)

    fresh = copy_context()
    copy = fresh

    @app.task
    async def copying() -> None:
        nonlocal copy
        copy = copy_context()
        await say.function()

    await attempts.complete("copying")
    assert [text for _, text in _told(attempts)] == ["copied by asyncio", "copied by hand"]


async def test_tasks_at_the_same_time_keep_their_lines_apart(app: Windlass, attempts: Attempts) -> None:
    """Each attempt has its own."""
    both = asyncio.Barrier(2)

    @app.task
    async def say(word: str) -> None:
        await both.wait()
        _log.warning(word)
        await both.wait()
        _log.warning(word)

    works = {word: attempts.start("say", f'{{"word": "{word}"}}'.encode()) for word in ("a", "b")}
    for work in works.values():
        await attempts.outcome(work)
    for word, work in works.items():
        assert [e.line.message for e in attempts.lines if e.lease_id == work.lease_id] == [word, word]


async def test_our_own_lines_are_not_the_tasks(app: Windlass, attempts: Attempts) -> None:
    """What the SDK says inside a task is about the worker."""

    @app.task
    async def say() -> None:
        logging.getLogger("windlass.worker").warning("ours")
        logging.getLogger("windlassy").warning("theirs")

    await attempts.complete("say")
    assert _told(attempts) == [("WARNING", "theirs")]


async def test_an_argument_that_logs_is_no_recursion(
    app: Windlass, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is logged while a record becomes text is left out."""

    class Talkative:
        @override
        def __str__(self) -> str:
            _log.warning("I am %s", self)
            return "talkative"

    @app.task
    async def say() -> None:
        _log.warning("here is %s", Talkative())

    # Other handlers would be asked for the same text, and recurse: those are not ours.
    monkeypatch.setattr(_log, "propagate", False)
    monkeypatch.setattr(_log, "handlers", [*_captures(), logging.NullHandler()])
    await attempts.complete("say")
    assert _told(attempts) == [("WARNING", "here is talkative")]


async def test_a_record_that_cannot_be_written_fails_nobody(
    app: Windlass, attempts: Attempts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as logging tells it: on stderr."""
    monkeypatch.setattr(_log, "propagate", False)
    monkeypatch.setattr(_log, "handlers", _captures())

    @app.task
    async def say() -> int:
        _log.warning("%d", "no number")
        return 1

    assert await attempts.complete("say") == b"1"
    assert _told(attempts) == []
    assert "no number" in capsys.readouterr().err


async def test_without_any_other_handler_records_are_still_shown(
    app: Windlass, attempts: Attempts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python does it: from WARNING on, on stderr. The capture is no reason to swallow them."""
    monkeypatch.setattr(logging.getLogger(), "handlers", _captures())

    @app.task
    async def say() -> None:
        _log.warning("seen")

    await attempts.complete("say")
    _log.warning("outside")
    assert capsys.readouterr().err.splitlines() == ["seen", "outside"]
    assert _told(attempts) == [("WARNING", "seen")]


async def test_the_root_logger_is_left_as_it_was(app: Windlass) -> None:
    """The last runner of several takes the handler away; one that was not asked adds none."""
    before = list(logging.getLogger().handlers)
    Attempts(app)
    assert logging.getLogger().handlers == before
    with fake_dispatcher() as dispatcher:
        served = Windlass(config=dispatcher.config())

        @served.task
        def nothing() -> None: ...

        workers = [served.worker(name) for name in ("a", "b")]
        for worker in workers:
            await worker.aio_start()
        assert len(logging.getLogger().handlers) == len(before) + 1
        await workers[0].aio_stop()
        assert len(logging.getLogger().handlers) == len(before) + 1
        await workers[1].aio_stop()
    assert logging.getLogger().handlers == before


async def test_a_worker_that_does_not_capture_keeps_nothing(app: Windlass) -> None:
    """The lines go where they went before."""

    @app.task
    async def say() -> None:
        _log.warning("here")

    quiet = Attempts(app)
    await quiet.complete("say")
    assert _told(quiet) == []
