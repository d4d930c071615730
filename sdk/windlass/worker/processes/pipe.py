"""One end of the pipe between a supervisor and a child. On the I/O thread; never blocks.

Owns bytes in and out. What the frames mean is `child`'s and `child_process`'s.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from typing_extensions import override

from windlass.worker.processes.frames import BrokenFrame, FrameReader, Kind, frame

if TYPE_CHECKING:
    import socket


class PipeUser(Protocol):
    """Who is at this end."""

    def on_frame(self, kind: Kind, body: bytes) -> None:
        """Take a frame."""

    def on_room(self) -> None:
        """Go on writing after the pipe was full."""

    def on_end(self) -> None:
        """Note that the other end is gone, or talks nonsense."""


class Pipe(asyncio.Protocol):
    """One end of one socket pair."""

    def __init__(self, user: PipeUser) -> None:
        """Tell `user` what happens. `open` begins."""
        self._user = user
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        #: The other end does not read: write no more than has to be written.
        self.is_full = False

    async def open(self, end: socket.socket) -> None:
        """Begin to read and write; the socket is the pipe's from here on."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def write(self, kind: Kind, body: bytes = b"") -> None:
        """Send a frame; nothing happens once the pipe is closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(kind, body))

    def finish(self) -> None:
        """Leave once all is sent."""
        if self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """Leave at once; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is none by its class

    @override
    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except BrokenFrame:
            self.close()
            return
        on_frame = self._user.on_frame
        for kind, body in frames:
            on_frame(kind, body)

    @override
    def pause_writing(self) -> None:
        self.is_full = True

    @override
    def resume_writing(self) -> None:
        self.is_full = False
        self._user.on_room()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._user.on_end()
