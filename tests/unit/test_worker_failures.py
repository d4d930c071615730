"""What an attempt that fails is reported as: the error, its traceback, and whether trying again could help."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from tests.support.attempts import Attempts
from windlass import NonRetryableException, Windlass
from windlass.worker.failure import MESSAGE_BYTES, TRACEBACK_BYTES


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
        assert "test_worker_failures.py" in first_frame
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
