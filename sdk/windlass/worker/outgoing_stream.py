"""Owns how much of its stream an attempt may have under way, and who waits for room. In any thread.

What is under way is kept by the session, which has it sent again where it may be lost.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from windlass.exceptions import StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.v1 import run_pb2

#: Bytes that an attempt may have put and that are not settled yet.
WINDOW_BYTES: Final = 256 * 1024
#: What a chunk counts besides itself: so a message, which has 2 MiB, has less than 10,000 of them.
CHUNK_OVERHEAD: Final = 256


def chunk_bytes(chunk: run_pb2.StreamChunk) -> int:
    """What a chunk counts, in bytes."""
    return chunk.ByteSize() + CHUNK_OVERHEAD


class OutgoingStream:
    """What one attempt puts into its run's stream."""

    def __init__(self, send: Callable[[run_pb2.StreamChunk], None]) -> None:
        """Hand chunks to `send`, which never blocks."""
        self._send = send
        self._lock = threading.Lock()
        self._under_way = 0
        self._waiting: list[Future[None]] = []
        self._refused = False
        self._closed = False

    def put(self, chunk: run_pb2.StreamChunk) -> Future[None] | None:
        """Send a chunk. Where there is no room for it, give what is done when it is to be tried again.

        Raises:
            StoreFull: the engine has refused an earlier one, and takes no more of this attempt.

        """
        size = chunk_bytes(chunk)
        with self._lock:
            if self._refused:
                raise StoreFull("the store is full: the stream of this attempt was cut off")
            if self._closed:
                return None
            if self._under_way and self._under_way + size > WINDOW_BYTES:
                room: Future[None] = Future()
                self._waiting.append(room)
                return room
            self._under_way += size
            self._send(chunk)
        return None

    def settled(self, size: int, *, refused: bool) -> None:
        """Note that so many bytes are no longer under way; `refused`: they were not taken, nor will others be."""
        with self._lock:
            self._under_way -= size
            self._refused = self._refused or refused
        self._wake()

    def close(self) -> None:
        """Let nobody wait: the attempt has ended. What is still put is dropped."""
        with self._lock:
            self._closed = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for room in waiting:
            if room.set_running_or_notify_cancel():
                room.set_result(None)
