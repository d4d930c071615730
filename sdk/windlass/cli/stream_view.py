"""Owns `windlass runs stream`: what a run's tasks stream is passed on as it is."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

from windlass import Windlass
from windlass.cli.output import print_event, print_note, printable

if TYPE_CHECKING:
    from windlass.stream_chunk import StreamChunk


def show_stream(run_id: str, offset: int, *, as_json: bool) -> None:
    """Write the chunks from an offset on to stdout, as they come, until the run has ended."""
    attempt = 0
    with Windlass() as app:
        for chunk in app.runs.subscribe_to_stream(run_id, offset):
            if chunk.offset > offset:
                print_note(f"{chunk.offset - offset} older chunks have been dropped")
            if attempt and chunk.attempt != attempt:
                print_note(f"attempt {chunk.attempt}")
            offset, attempt = chunk.offset + 1, chunk.attempt
            if as_json:
                _print_json(chunk)
            else:
                _write(chunk.data)


def _print_json(chunk: StreamChunk) -> None:
    if isinstance(chunk.data, str):
        print_event(offset=chunk.offset, attempt=chunk.attempt, text=chunk.data)
    else:
        print_event(offset=chunk.offset, attempt=chunk.attempt, base64=base64.b64encode(chunk.data).decode())


def _write(data: str | bytes) -> None:
    """Pass on every byte, but to a terminal only what it can't be made to obey."""
    if sys.stdout.isatty():
        sys.stdout.write(printable(data if isinstance(data, str) else data.decode(errors="replace")))
    else:
        sys.stdout.buffer.write(data.encode() if isinstance(data, str) else data)
    sys.stdout.flush()
