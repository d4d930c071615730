"""Owns the log of executions: what user code saw, one JSON line per beginning and end.

Lines are appended with one write each to a file opened with O_APPEND: many processes share it, and
what a process wrote before it was killed is there.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from tests.support.history import Execution

if TYPE_CHECKING:
    from pathlib import Path

    from windlass import Context


class Journal:
    """The log of one test."""

    def __init__(self, path: Path) -> None:
        """Open it for writing, and for reading what others wrote."""
        self.path = path
        self._fd = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o600)

    def begin(self, ctx: Context, key: str = "") -> str:
        """Note that an attempt executes, of a run with that concurrency key. Returns its nonce."""
        nonce = os.urandom(8).hex()
        self._write(
            nonce=nonce,
            run=ctx.task_run_id,
            attempt=ctx.attempt_number,
            lease=ctx._assignment.lease_id,
            worker=ctx.worker_id,
            at=time.monotonic(),
            key=key,
        )
        return nonce

    def end(self, nonce: str) -> None:
        """Note that it has come to its end."""
        self._write(nonce=nonce, ended_at=time.monotonic())

    def begun(self) -> int:
        """How many executions have begun so far."""
        return self.path.read_bytes().count(b'"lease"')

    def executions(self) -> list[Execution]:
        """All executions so far, in the order of their beginnings."""
        begins: dict[str, dict[str, str]] = {}
        ends: dict[str, float] = {}
        # A line that crosses a page may be seen before its end: what follows the last newline is not yet there.
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            entry = json.loads(line)
            if "ended_at" in entry:
                ends[entry["nonce"]] = entry["ended_at"]
            else:
                begins[entry["nonce"]] = entry
        return [
            Execution(
                run_id=entry["run"],
                attempt=int(entry["attempt"]),
                lease_id=entry["lease"],
                worker_id=entry["worker"],
                nonce=nonce,
                began_at=float(entry["at"]),
                ended_at=ends.get(nonce),
                key=entry["key"],
            )
            for nonce, entry in begins.items()
        ]

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _write(self, **entry: object) -> None:
        os.write(self._fd, json.dumps(entry).encode() + b"\n")
