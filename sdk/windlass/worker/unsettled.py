"""Owns chunks of streams until the engine has them: their numbers, and what is to be sent again. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from windlass.worker.outgoing_stream import chunk_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from windlass.v1 import dispatch_pb2
    from windlass.worker.outcome import PutChunk


@dataclass(slots=True)
class _Stream:
    next: int = 0
    chunks: deque[PutChunk] = field(default_factory=deque)


class Unsettled:
    """By lease, the chunks that were put and of which the engine has not said what became of them."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._streams: dict[str, _Stream] = {}

    def __bool__(self) -> bool:
        """Tell whether any attempt has streamed and is not forgotten."""
        return bool(self._streams)

    def __iter__(self) -> Iterator[PutChunk]:
        """Give what is to be sent again: of each attempt in order."""
        for stream in self._streams.values():
            yield from stream.chunks

    def add(self, entry: PutChunk) -> PutChunk:
        """Keep a chunk; gives it with its number."""
        stream = self._streams.get(entry.lease_id)
        if stream is None:
            stream = self._streams[entry.lease_id] = _Stream()
        numbered = entry._replace(number=stream.next)
        stream.next += 1
        stream.chunks.append(numbered)
        return numbered

    def settle(self, ack: dispatch_pb2.ChunksAck) -> int:
        """Forget what is settled; gives how many bytes that was."""
        stream, size = self._streams.get(ack.lease_id), 0
        while stream is not None and stream.chunks and stream.chunks[0].number < ack.next:
            size += chunk_bytes(stream.chunks.popleft().chunk)
        return size

    def forget(self, lease_id: str) -> None:
        """Forget an attempt: it is over, or no longer ours."""
        self._streams.pop(lease_id, None)
