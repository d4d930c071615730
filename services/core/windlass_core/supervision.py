"""Owns that the processes of a local cluster are started again when they end by a fault of their own.

Where they end because they were told to, whoever told them stops the supervisor first.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass_core.local import Process

FIRST_DELAY_S = 0.5
LAST_DELAY_S = 30.0
# One that lived for so long was well: the next fault is the first again.
WELL_AFTER_S = 30.0


class Supervisor:
    """A thread for each process, asleep until it ends."""

    def __init__(self, processes: Sequence["Process"], say: Callable[[str], None]) -> None:
        """Begins to watch; `say` is told, in a thread of its own, what ended and what is done about it."""
        self._say = say
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._watch, args=(each,), name=f"supervise-{each.name}", daemon=True)
            for each in processes
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """From its return on nothing is started again."""
        self._stopping.set()
        with self._starting:
            pass  # one that is being started just now is up, or has failed to

    def _watch(self, process: "Process") -> None:
        delay_s, began = FIRST_DELAY_S, time.monotonic()
        while True:
            code = process.wait_end()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > WELL_AFTER_S:
                delay_s = FIRST_DELAY_S
            self._say(f"{process.name} ended ({_how(code)}); starting it again in {delay_s:g} s")
            if self._stopping.wait(delay_s):
                return
            delay_s = min(delay_s * 2, LAST_DELAY_S)
            began = time.monotonic()
            self._start(process)

    def _start(self, process: "Process") -> None:
        from windlass_core.local import LocalClusterError

        with self._starting:
            if self._stopping.is_set():
                return
            try:
                process.restart()
            except LocalClusterError as error:
                self._say(str(error))
            except OSError as error:  # this machine has no room for it now
                self._say(f"{process.name} can't be started: {error}")
            else:
                self._say(f"{process.name} is up again")


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
