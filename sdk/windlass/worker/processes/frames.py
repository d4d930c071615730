"""What a supervisor and a child say to each other, as bytes on a pipe. No I/O.

A frame is a length (of the body), a kind and a body: protobuf where the contracts have a message for
it, JSON where they have none.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

_HEAD: Final = struct.Struct("!IB")
#: An assignment or an outcome has 1 MiB at the most, and a message is closed at 2 MiB.
LONGEST_BODY: Final = 64 * 1024 * 1024


class Kind(enum.IntEnum):
    """What a frame says; beside each, its body."""

    # Supervisor → child
    SETUP = 1  # JSON: setup.Setup
    START = 2  # dispatch_pb2.Assignments
    CANCEL = 3  # JSON: [lease ids, reason, grace in seconds]
    STOP = 4  # JSON: [lease ids, reason]
    LIMIT = 5  # JSON: largest output in bytes
    DRAIN = 6  # nothing: no more attempts will come
    LEAVE = 7  # nothing: close the lifespan and end
    SETTLED = 16  # JSON: [lease id, bytes of its stream that are settled, whether they were refused]
    # Child → supervisor
    READY = 8  # nothing: the lifespan is open
    UNFIT = 9  # UTF-8: why it can't work, for people
    TOLD = 10  # dispatch_service_pb2.ConnectRequest: a report, logs, progress, chunks
    REFRESHED = 11  # JSON: [lease id, run id, execution timeout in milliseconds]
    CANCEL_RUN = 12  # JSON: [lease id, run id]
    LOST = 13  # nothing: the lifespan has ended by itself
    SLOT_RELEASED = 14  # JSON: [lease id, run id]
    # Both ways
    LABELS = 15  # JSON: labels of the worker that are other than before


class BrokenFrame(Exception):
    """The bytes are none of ours."""


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """Write one frame."""
    return _HEAD.pack(len(body), kind) + body


class FrameReader:
    """Finds the frames in what arrives, however it is cut."""

    def __init__(self) -> None:
        """Begin between two frames."""
        self._rest = b""
        # Of a long frame, which comes in many pieces: joined once, when all are there.
        self._pieces: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """Take bytes; give the frames that they complete.

        Raises:
            BrokenFrame: a kind or a length that nobody sends.

        """
        if self._missing > len(data):
            self._pieces.append(data)
            self._missing -= len(data)
            return []
        if self._pieces:
            self._pieces.append(data)
            data, self._pieces, self._missing = b"".join(self._pieces), [], 0
        elif self._rest:
            data = self._rest + data
        self._rest = b""
        frames: list[tuple[Kind, bytes]] = []
        at, end = 0, len(data)
        while end - at >= _HEAD.size:
            length, number = _HEAD.unpack_from(data, at)
            if length > LONGEST_BODY or number not in _KINDS:
                raise BrokenFrame(f"kind {number} with {length:,} bytes")
            begin = at + _HEAD.size
            if end - begin < length:
                self._pieces, self._missing = [data[at:]], length - (end - begin)
                return frames
            frames.append((_KINDS[number], data[begin : begin + length]))
            at = begin + length
        self._rest = data[at:]
        return frames


_KINDS: Final = {int(kind): kind for kind in Kind}
