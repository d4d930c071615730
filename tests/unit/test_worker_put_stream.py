"""What a task puts into its run's stream: all of it in order, and no more at once than there is room for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attempts import Attempts
from windlass import Context, InvalidInput, PayloadTooLarge, SoftTimeoutExceeded, StoreFull, SyncCallOnLoop, Windlass
from windlass.stream_chunk import CHUNK_BYTES
from windlass.transport.io_thread import allow_sync_calls_on, forbid_sync_calls_on
from windlass.v1.run_pb2 import StreamChunk
from windlass.worker.outgoing_stream import WINDOW_BYTES, chunk_bytes

if TYPE_CHECKING:
    from windlass.worker.outcome import PutChunk

# So many of them fit into the window.
_PIECE = b"x" * (CHUNK_BYTES // 2)
_FIT = WINDOW_BYTES // chunk_bytes(StreamChunk(binary=_PIECE, attempt=1))


@pytest.fixture
def app() -> Windlass:
    """An app that never connects."""
    return Windlass()


async def _heard(attempts: Attempts) -> PutChunk:
    return await asyncio.to_thread(partial(attempts.chunks.get, timeout=10))


def _settle(attempts: Attempts, entry: PutChunk, *, refused: bool = False) -> None:
    attempts.runner.settled(entry.lease_id, chunk_bytes(entry.chunk), refused=refused)


async def test_text_stays_text_and_bytes_bytes(app: Windlass) -> None:
    """With the attempt that put them."""

    @app.task
    async def both(ctx: Context) -> None:
        await ctx.aio_put_stream("é")
        await ctx.aio_put_stream(b"\xff")

    attempts = Attempts(app)
    await attempts.complete("both", attempt=3)
    assert [(await _heard(attempts)).chunk for _ in range(2)] == [
        StreamChunk(text="é", attempt=3),
        StreamChunk(binary=b"\xff", attempt=3),
    ]


@pytest.mark.parametrize(
    ("chunk", "error", "what"),
    [
        ("x" * (CHUNK_BYTES + 1), PayloadTooLarge, "65,537 bytes, and a stream takes 65,536"),
        ("é" * CHUNK_BYTES, PayloadTooLarge, "131,072 bytes"),
        (b"x" * (CHUNK_BYTES + 1), PayloadTooLarge, "put it in pieces"),
        ({"a": 1}, InvalidInput, "str or bytes was expected, not dict"),
        ("\ud800", InvalidInput, "no Unicode"),
    ],
)
async def test_what_can_not_be_streamed_is_an_error_at_the_call(
    app: Windlass, chunk: Any, error: type[Exception], what: str
) -> None:
    """Also in a mocked run, in which nothing is streamed; the task goes on."""

    @app.task
    async def put(ctx: Context) -> str:
        with pytest.raises(error, match=what):
            await ctx.aio_put_stream(chunk)
        with pytest.raises(error, match=what):
            ctx.put_stream(chunk)
        await ctx.aio_put_stream("goes nowhere")
        return "done"

    assert await put.aio_mock_run() == "done"


@pytest.mark.parametrize("in_thread", [True, False])
async def test_who_puts_too_much_waits_until_some_of_it_is_settled(app: Windlass, in_thread: bool) -> None:
    """A thread, or a coroutine; nothing is dropped, and the order stays."""

    async def pour(ctx: Context) -> None:
        for number in range(_FIT + 3):
            await ctx.aio_put_stream(bytes([number]) + _PIECE[1:])

    def pour_in_thread(ctx: Context) -> None:
        for number in range(_FIT + 3):
            ctx.put_stream(bytes([number]) + _PIECE[1:])

    app.task(name="pour")(pour_in_thread if in_thread else pour)
    attempts = Attempts(app)
    work = attempts.start("pour")
    heard = [await _heard(attempts) for _ in range(_FIT)]
    assert attempts.chunks.empty()
    for entry in heard:
        assert work.lease_id not in attempts.outcomes
        _settle(attempts, entry)
    await attempts.outcome(work)
    heard += [await _heard(attempts) for _ in range(3)]
    assert [entry.chunk.binary[0] for entry in heard] == list(range(_FIT + 3))


@pytest.mark.parametrize("in_thread", [True, False])
async def test_a_store_that_is_full_is_told_to_the_task(app: Windlass, in_thread: bool) -> None:
    """The one that waits, and each further one of the attempt."""

    async def pour(ctx: Context) -> int:
        for _ in range(_FIT):
            await ctx.aio_put_stream(_PIECE)
        with pytest.raises(StoreFull, match="cut off"):
            await ctx.aio_put_stream(_PIECE)
        with pytest.raises(StoreFull):
            await ctx.aio_put_stream("more")
        return 1

    def pour_in_thread(ctx: Context) -> int:
        for _ in range(_FIT):
            ctx.put_stream(_PIECE)
        with pytest.raises(StoreFull, match="cut off"):
            ctx.put_stream(_PIECE)
        with pytest.raises(StoreFull):
            ctx.put_stream("more")
        return 1

    app.task(name="pour")(pour_in_thread if in_thread else pour)
    attempts = Attempts(app)
    work = attempts.start("pour")
    heard = [await _heard(attempts) for _ in range(_FIT)]
    _settle(attempts, heard[0], refused=True)
    assert (await attempts.outcome(work)) == (work.lease_id, work.run_id, b"1")


async def test_a_soft_timeout_reaches_a_thread_that_waits_for_room(app: Windlass) -> None:
    """And it ends as any other wait does."""

    @app.task
    def pour(ctx: Context) -> str:
        try:
            while True:
                ctx.put_stream(_PIECE)
        except SoftTimeoutExceeded:
            return "told"

    attempts = Attempts(app)
    assert await attempts.complete("pour", soft_timeout_ms=50) == b'"told"'


@pytest.mark.parametrize("in_thread", [True, False])
async def test_an_execution_timeout_ends_the_wait_for_room(app: Windlass, in_thread: bool) -> None:
    """Of a thread that is given up on, or of a coroutine."""
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def pour(ctx: Context) -> None:
        try:
            while True:
                await ctx.aio_put_stream(_PIECE)
        finally:
            left.set()

    def pour_in_thread(ctx: Context) -> None:
        try:
            while True:
                ctx.put_stream(_PIECE)
        finally:
            loop.call_soon_threadsafe(left.set)

    app.task(name="pour")(pour_in_thread if in_thread else pour)
    failure = await Attempts(app).fail("pour", execution_timeout_ms=100)
    assert failure.type == "ExecutionTimeout"
    async with asyncio.timeout(10):
        await left.wait()


async def test_what_a_stray_thread_puts_after_the_end_is_dropped(app: Windlass) -> None:
    """It waits for nothing any more."""
    kept: list[Context] = []

    @app.task
    async def leak(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.aio_put_stream("last")

    attempts = Attempts(app)
    await attempts.complete("leak")
    assert (await _heard(attempts)).chunk.text == "last"
    for _ in range(_FIT + 2):
        await asyncio.to_thread(kept[0].put_stream, _PIECE)
    assert attempts.chunks.empty()


async def test_the_blocking_call_is_refused_on_the_workers_loop(app: Windlass) -> None:
    """Whether or not there is room: not only under load."""

    @app.task
    async def wrong(ctx: Context) -> None:
        ctx.put_stream("a")

    loop = asyncio.get_running_loop()
    forbid_sync_calls_on(loop)
    try:
        failure = await Attempts(app).fail("wrong")
    finally:
        allow_sync_calls_on(loop)
    assert failure.type == SyncCallOnLoop.__name__
    assert "await ctx.aio_put_stream()" in failure.message
