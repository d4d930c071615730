"""Owns a piece of data that a task streams: what is taken, how it travels, what a reader gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from windlass.exceptions import InvalidInput, PayloadTooLarge

if TYPE_CHECKING:
    from windlass.v1 import run_pb2

#: Bytes of a chunk at the most, of text as UTF-8; the engine has the same limit.
CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A piece of data from a run's stream, text or bytes as the task put it.

    `offset` counts the run's chunks from 0, those dropped since too. Another `attempt` begins anew.
    """

    offset: int
    data: str | bytes
    attempt: int

    @classmethod
    def from_proto(cls, offset: int, chunk: run_pb2.StreamChunk) -> Self:
        """Read it from the wire."""
        return cls(offset, chunk.text if chunk.HasField("text") else chunk.binary, chunk.attempt)


def chunk_message(data: object, attempt: int) -> run_pb2.StreamChunk:
    """Write it for the wire. Raises InvalidInput, PayloadTooLarge."""
    from windlass.v1 import run_pb2  # a module that only defines tasks never loads the stubs

    if isinstance(data, str):
        try:
            size = len(data.encode())
        except UnicodeEncodeError as error:
            raise InvalidInput(f"chunk: text that is no Unicode can't be streamed: {error}", field="chunk") from None
        _check_size(size)
        return run_pb2.StreamChunk(text=data, attempt=attempt)
    if not isinstance(data, bytes):
        msg = f"chunk: str or bytes was expected, not {type(data).__name__}; json.dumps makes a str of plain data"
        raise InvalidInput(msg, field="chunk")
    _check_size(len(data))
    return run_pb2.StreamChunk(binary=data, attempt=attempt)


def _check_size(size: int) -> None:
    if size > CHUNK_BYTES:
        msg = f"a chunk of {size:,} bytes, and a stream takes {CHUNK_BYTES:,} at once: put it in pieces"
        raise PayloadTooLarge(msg, limit=CHUNK_BYTES, size=size)
