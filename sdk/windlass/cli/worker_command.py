"""Owns `windlass worker --reload` as a child process of `windlass dev`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from windlass.cli.parent import VARIABLE
from windlass.cli.reloading_worker import RELOAD_GRACE

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: How long a worker may take to leave once its grace is over, before it is told again, and then killed.
_LEAVE_SECONDS: Final = 8.0
#: How often it is looked whether the worker is still there.
_LOOK_EVERY: Final = 0.25
#: A worker that ended sooner than that would end again.
_WELL_AFTER: Final = 5.0


class WorkerCommand:
    """One worker process; started again where it ends by itself, unless it does so at once."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Take the arguments that follow `windlass worker --reload`; starts nothing yet."""
        self._command = [sys.executable, "-m", "windlass.cli", "worker", "--reload", *arguments]
        self._folder = folder
        # Ends with this process: the child waits for that.
        self._pipe, self._held = os.pipe()
        self._environment = {**os.environ, **environment, VARIABLE: str(self._pipe)}
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; then end the worker and return."""
        try:
            self._start()
            while not stop.wait(_LOOK_EVERY):
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
        if self._child is None or (code := self._child.poll()) is None:
            return
        self._child = None
        said = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if time.monotonic() - self._started > _WELL_AFTER:
            _say(f"the worker {said}; starting it again")
            self._start()
        else:
            _say(f"the worker {said}")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(RELOAD_GRACE + _LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _say(text: str) -> None:
    print(f"windlass: {text}", file=sys.stderr, flush=True)
