"""Owns a way between two processes that can be cut: a TCP proxy on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Self

from tests.support.loop_thread import LoopThread

if TYPE_CHECKING:
    from types import TracebackType

_READ_BYTES = 64 * 1024
_SECONDS = 10.0


class _Memory:
    """Whether a connection is still known, which it is while something comes often enough."""

    def __init__(self, seconds: float | None) -> None:
        self.known = True
        self._seconds = seconds
        self._last = time.monotonic()

    def renew(self) -> bool:
        """Something has come; gives whether it was soon enough."""
        now = time.monotonic()
        if self._seconds is not None and now - self._last > self._seconds:
            self.known = False
        self._last = now
        return self.known


class TcpProxy:
    """Passes bytes both ways between those who connect to `address` and `target`."""

    def __init__(self, target: str, forget_after: float | None = None) -> None:
        """Prepare; `with` starts it.

        As a NAT does, it forgets connections on which nothing came for `forget_after` seconds: what comes
        later is lost, and nobody is told.
        """
        #: Connections made, and forgotten, and pieces passed on, so far.
        self.connections = 0
        self.forgotten = 0
        self.passed = 0
        self._forget_after = forget_after
        self.address = ""
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._answers = asyncio.Event()
        self._loop = LoopThread()
        self._serving = 0
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._loop.__enter__()
        self._loop.run(self._start()).result(_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.run(self._end()).result(_SECONDS)
        self._loop.__exit__(kind, error, traceback)

    def drop(self) -> None:
        """Cut all connections, with a reset; new ones are taken."""
        self._loop.run(self._drop()).result(_SECONDS)

    def withhold_answers(self) -> None:
        """From now on pass nothing from the target to whoever asked; nobody notices."""
        self._loop.run(self._set_passing(False)).result(_SECONDS)

    def pass_answers(self) -> None:
        """Pass them again, to those who are still there."""
        self._loop.run(self._set_passing(True)).result(_SECONDS)

    async def _start(self) -> None:
        self._answers.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._answers.set()
        while self._serving:
            await self._drop()
            await asyncio.sleep(0)

    async def _set_passing(self, passing: bool) -> None:
        if passing:
            self._answers.set()
        else:
            self._answers.clear()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving += 1
        try:
            await self._pass_both_ways(reader, writer)
        finally:
            self._serving -= 1

    async def _pass_both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        both = {writer, target_writer}
        memory = _Memory(self._forget_after)
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, target_writer, None, memory))
                group.create_task(self._pass(target_reader, writer, self._answers, memory))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        allowed: asyncio.Event | None,
        memory: _Memory,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                if allowed is not None:
                    await allowed.wait()
                known = memory.known
                if not memory.renew():
                    self.forgotten += known
                    continue
                self.passed += 1
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
