"""Owns writing to one peer's stream, and noticing that the peer has stopped reading.

A write ends when gRPC has room for the message, which it has while the peer reads. What waits to be
written, and how much of it is kept, is its owner's business.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import grpc

from windlass_core.domain.errors import SlowReader

M = TypeVar("M")

# What is queued when a stream is ended may take so long to be written.
LAST_WORDS_S = 2.0
# Before a peer is found at fault this process looks once more, so much later: had it stood still itself,
# and not the peer, it has then taken note of what had come. A look that is late by as much does not count.
CONFIRM_S = 0.25


class Outlet(Generic[M]):
    """The writing half of one stream. `blocked` is done once the peer is to be waited for no longer."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, M], patience_s: float) -> None:
        self.blocked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._write = context.write
        self._begun = False
        self._patience_s = patience_s
        # When the write under way began.
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_words: asyncio.TimerHandle | None = None

    async def write(self, message: M) -> None:
        """Writes; waits for as long as the peer has no room."""
        if not self._begun:
            self._begun = True
            # By itself: while it is under way together with a message, gRPC takes no status.
            await self._context.send_initial_metadata(())
        self._since = self._loop.time()
        # One timer for all writes of its time: most end long before it is due.
        if self._timer is None:
            self._look_at(self._since + self._patience_s)
        await self._write(message)
        self._since = None

    async def write_all(self, messages: AsyncIterator[M]) -> None:
        """Writes them as they come, then closes. Raises SlowReader."""
        writer = asyncio.create_task(self._write_each(messages))
        try:
            done, _ = await asyncio.wait({writer, self.blocked}, return_when=asyncio.FIRST_COMPLETED)
            if writer not in done:
                raise SlowReader("what was sent is not read: ask again, from where it was read last")
            writer.result()
        finally:
            self.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def hurry(self) -> None:
        """The stream is being ended: the peer gets a moment to read what is queued."""
        if self._last_words is None:
            self._last_words = self._loop.call_later(LAST_WORDS_S, self._give_up)

    def close(self) -> None:
        """Nothing more is written."""
        for timer in (self._timer, self._last_words):
            if timer is not None:
                timer.cancel()

    async def _write_each(self, messages: AsyncIterator[M]) -> None:
        async for message in messages:
            await self.write(message)

    def _look_at(self, due: float, *, confirming: bool = False) -> None:
        self._timer = self._loop.call_at(due, self._look, due, confirming)

    def _look(self, due: float, confirming: bool) -> None:
        self._timer = None
        now = self._loop.time()
        if self._since is None:
            return
        if now < self._since + self._patience_s:
            self._look_at(self._since + self._patience_s)
        elif not confirming or now - due > CONFIRM_S:
            self._look_at(now + CONFIRM_S, confirming=True)
        else:
            self._give_up()

    def _give_up(self) -> None:
        if not self.blocked.done():
            self.blocked.set_result(None)
