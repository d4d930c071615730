"""Owns a worker process that is replaced when the code changes. Never imports that code itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override
from watchfiles import PythonFilter, watch

from windlass.cli.parent import VARIABLE

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from watchfiles import Change

#: Seconds that running tasks get when nothing else is asked for: whoever waits wants the new code.
RELOAD_GRACE: Final = 2.0
#: How long a worker may take to leave once its grace is over, before it is told again, and then killed.
_LEAVE_SECONDS: Final = 8.0
#: How often the loop looks whether the worker is still there and whether to stop.
_LOOK_EVERY_MS: Final = 250
#: A worker that a signal ended sooner than that would be ended by it again: a mistake in the code, mostly.
_WELL_AFTER: Final = 5.0


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
    """Runs `windlass worker ...` in a child process and replaces it on each change below a folder.

    A child that ends by itself (a mistake in the code, mostly) is started again on the next change.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        grace: float = RELOAD_GRACE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Take the arguments that follow `windlass worker`, and `grace` in seconds; starts nothing yet."""
        self._command = [sys.executable, "-m", "windlass.cli", "worker", *arguments, "--grace", str(grace)]
        self._grace = grace
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        # Ends with this process: the child waits for that.
        self._pipe, self._held = os.pipe()
        self._environment[VARIABLE] = str(self._pipe)
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; then end the worker and return."""
        try:
            self._start()
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
                    _say(f"{first}{more} changed, restarting the worker")
                    self._end()
                    self._start()
                else:
                    self._notice_end()
        finally:
            self._end()
            os.close(self._held)
            os.close(self._pipe)

    def _start(self) -> None:
        # A session of its own: Ctrl-C reaches this process alone, which then ends things in order.
        self._child = subprocess.Popen(
            self._command,
            env=self._environment,
            start_new_session=True,
            cwd=self._folder,
            pass_fds=(self._pipe,),
        )
        self._started = time.monotonic()

    def _notice_end(self) -> None:
        if self._child is not None and (code := self._child.poll()) is not None:
            self._child = None
            if code < 0 and time.monotonic() - self._started > _WELL_AFTER:
                _say(f"the worker was ended by {signal.Signals(-code).name}; starting it again")
                self._start()
            else:
                _say(f"the worker ended with code {code}; it starts again on the next change")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        # The second signal makes a worker leave at once.
        for patience in (self._grace + _LEAVE_SECONDS, _LEAVE_SECONDS):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return
        child.kill()
        child.wait()


def _say(text: str) -> None:
    print(f"windlass: {text}", file=sys.stderr, flush=True)
