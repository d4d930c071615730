"""Owns how many streams one replica serves at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from windlass_core.domain.errors import TooMany


class Places:
    """So many streams may be open, and no more; `full` is what the next one is told."""

    def __init__(self, most: int, full: str) -> None:
        self.taken = 0
        self._most = most
        self._full = full

    @contextmanager
    def one(self) -> Iterator[None]:
        """A stream's place, for as long as it is open. Raises TooMany."""
        if self.taken >= self._most:
            raise TooMany(self._full, self._most)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
