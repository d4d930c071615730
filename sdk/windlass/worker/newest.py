"""Owns handing progress from any thread to one: what nobody has taken is replaced by what is said next.

A task that tells its progress a million times costs the thread that takes it one entry.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.worker.outcome import ToldProgress


class Newest:
    """By lease, what was said last and nobody has taken."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._told: dict[str, ToldProgress] = {}

    def put(self, entry: ToldProgress) -> bool:
        """Hold an entry. True: it is the first since the last `take`, so somebody has to be told."""
        with self._lock:
            is_first = not self._told
            self._told[entry.lease_id] = entry
        return is_first

    def take(self) -> list[ToldProgress]:
        """Take all."""
        with self._lock:
            told, self._told = self._told, {}
        return list(told.values())
