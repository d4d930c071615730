"""Owns the labels of one worker, as one of its processes knows them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from windlass.placement import read_worker_labels


class WorkerLabels:
    """Read and changed from any thread."""

    __slots__ = ("_lock", "_now")

    def __init__(self, labels: Mapping[str, str]) -> None:
        """Begin with these."""
        self._lock = threading.Lock()
        self._now: Mapping[str, str] = MappingProxyType(dict(labels))

    @property
    def now(self) -> Mapping[str, str]:
        """All of them; what is given does not change any more."""
        return self._now

    def note(self, changes: Mapping[str, str]) -> None:
        """Take what another process of the worker has set or changed."""
        with self._lock:
            self._now = MappingProxyType({**self._now, **changes})

    def upsert(self, changes: object) -> dict[str, str]:
        """Set or change some; gives those that are other than before.

        Raises:
            TypeError: it is no dict, or a value is neither text nor a number.
            ValueError: a name or a value is too long, or there would be too many.

        """
        if not isinstance(changes, Mapping):
            msg = f"labels takes a dict of texts and numbers by name, not {changes!r}"
            raise TypeError(msg)
        with self._lock:
            labels = read_worker_labels({**self._now, **changes})
            changed = {name: labels[name] for name in changes if self._now.get(name) != labels[name]}
            self._now = MappingProxyType(labels)
        return changed
