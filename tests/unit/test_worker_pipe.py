"""What a supervisor and a child say to each other: frames, however they are cut, and a pipe that is full or ends."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from windlass.worker.processes.frames import BrokenFrame, FrameReader, Kind, frame
from windlass.worker.processes.pipe import Pipe

FRAMES = [
    (Kind.SETUP, b"{}"),
    (Kind.LEAVE, b""),
    (Kind.TOLD, b"x" * 70_000),
    (Kind.READY, b""),
    (Kind.START, b"y" * 5),
]
BYTES = b"".join(frame(*each) for each in FRAMES)


class End:
    """One end of a pipe, and what came to it."""

    def __init__(self) -> None:
        self.pipe = Pipe(self)
        self.frames: list[tuple[Kind, bytes]] = []
        self.moved = asyncio.Event()
        self.ended = False
        self.had_room = False

    def on_frame(self, kind: Kind, body: bytes) -> None:
        self.frames.append((kind, body))
        self.moved.set()

    def on_room(self) -> None:
        self.had_room = True
        self.moved.set()

    def on_end(self) -> None:
        self.ended = True
        self.moved.set()

    async def until_ended(self) -> None:
        """Wait for the end."""
        while not self.ended:
            await self.moved.wait()
            self.moved.clear()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 1000, 69_999, 70_000, len(BYTES)])
def test_frames_are_found_however_they_are_cut(size: int) -> None:
    """Into pieces of one size."""
    reader, found = FrameReader(), []
    for at in range(0, len(BYTES), size):
        found += reader.feed(BYTES[at : at + size])
    assert found == FRAMES


def test_frames_are_found_in_random_pieces() -> None:
    """As a stream socket gives them."""
    for seed in range(50):
        dice = random.Random(seed)
        reader, found, at = FrameReader(), [], 0
        while at < len(BYTES):
            size = dice.choice([1, 3, 5, 100, 40_000])
            found += reader.feed(BYTES[at : at + size])
            at += size
        assert found == FRAMES


@pytest.mark.parametrize("data", [b"\0\0\0\0\xff", b"\xff\xff\xff\xff\x01", b"GET / HTTP/1.1\r\n"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Nobody waits for four gigabytes."""
    with pytest.raises(BrokenFrame):
        FrameReader().feed(data)


async def test_both_ends_hear_each_other_and_the_end() -> None:
    """What was written before the end arrives before it."""
    one, other = End(), End()
    left, right = socket.socketpair()
    await one.pipe.open(left)
    await other.pipe.open(right)
    for each in FRAMES:
        one.pipe.write(*each)
    one.pipe.finish()
    async with asyncio.timeout(10):
        await other.until_ended()
    assert other.frames == FRAMES
    other.pipe.write(Kind.LEAVE)  # nobody is there: nothing happens
    async with asyncio.timeout(10):
        await one.until_ended()


async def test_an_end_in_the_middle_of_a_frame_is_an_end() -> None:
    """The frame never came; those before it did."""
    end = End()
    ours, theirs = socket.socketpair()
    await end.pipe.open(ours)
    theirs.sendall(frame(Kind.READY) + frame(Kind.TOLD, b"cut off")[:-3])
    theirs.close()
    async with asyncio.timeout(10):
        await end.until_ended()
    assert end.frames == [(Kind.READY, b"")]


async def test_nonsense_ends_the_pipe() -> None:
    """A task has written to a descriptor that is not its own."""
    end = End()
    ours, theirs = socket.socketpair()
    await end.pipe.open(ours)
    with theirs:
        theirs.sendall(b"print this, please\n")
        async with asyncio.timeout(10):
            await end.until_ended()
    assert end.frames == []


async def test_a_pipe_that_nobody_reads_says_that_it_is_full() -> None:
    """And that it has room again."""
    end = End()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await end.pipe.open(ours)
    written = 0
    while not end.pipe.is_full:
        end.pipe.write(Kind.TOLD, b"z" * 100_000)
        written += 1
    reader, frames = FrameReader(), 0
    loop = asyncio.get_running_loop()
    with theirs:
        async with asyncio.timeout(10):
            while frames < written:
                frames += len(reader.feed(await loop.sock_recv(theirs, 1 << 16)))
            while not end.had_room:
                await end.moved.wait()
                end.moved.clear()
    assert not end.pipe.is_full
