"""Owns a worker that reads its code anew when that changes. Never imports that code itself."""

from __future__ import annotations

import os
import sys
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override
from watchfiles import PythonFilter, watch

from windlass.exceptions import WindlassError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from watchfiles import Change

    from windlass.worker.reloadable import ReloadableWorker

#: Seconds that running tasks get when nothing else is asked for: whoever waits wants the new code.
RELOAD_GRACE: Final = 2.0
#: How often the loop looks whether the worker is still there and whether to stop.
_LOOK_EVERY_MS: Final = 250


class _CodeFilter(PythonFilter):
    """Passes over hidden folders below the watched one: what tools keep there is not the worker's code."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @override
    def __call__(self, change: Change, path: str) -> bool:
        folders = Path(path).relative_to(self._folder).parts[:-1]
        return not any(name.startswith(".") for name in folders) and super().__call__(change, path)


class ReloadingWorker:
    """A worker, and the folder in which its code is.

    One that ends by itself (the engine refuses it, mostly) is started again on the next change.
    """

    def __init__(self, make: Callable[[], ReloadableWorker], folder: Path) -> None:
        """Take how a worker is made; makes none yet."""
        self._make = make
        self._folder = folder
        self._worker: ReloadableWorker | None = None

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; then end the worker and return."""
        self._load(stop)
        for changes in watch(
            self._folder,
            watch_filter=_CodeFilter(self._folder),
            stop_event=stop,
            rust_timeout=_LOOK_EVERY_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            if changes:
                first, *others = sorted(os.path.relpath(path, self._folder) for _, path in changes)
                more = f" and {len(others)} more" if others else ""
                _say(f"{first}{more} changed, reading the code anew")
                self._load(stop)
            elif self._worker is not None and self._worker.ended:
                self._worker.stop()
                self._worker = None
                _say("the worker has ended; it starts again on the next change")
        if self._worker is not None:
            self._worker.stop()

    def _load(self, stop: threading.Event) -> None:
        worker = self._worker or self._make()
        loading = worker.load()
        while not wait([loading], _LOOK_EVERY_MS / 1000).done:
            if stop.is_set():  # what is being started ends with this process
                return
        error = loading.exception()
        if error is None:
            self._worker = worker
        elif not isinstance(error, WindlassError):
            raise error
        elif self._worker is None:
            _say(f"{error}; the worker starts on the next change")
        else:
            _say(f"{error}; the former code goes on until the next change")


def _say(text: str) -> None:
    print(f"windlass: {text}", file=sys.stderr, flush=True)
