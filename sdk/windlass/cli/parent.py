"""Owns that a worker's process ends when the one that reloads it is gone, even if that was killed.

The parent holds the writing end of a pipe and never writes; the kernel closes it whatever happens.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Final

#: Names the pipe's reading end to a child.
VARIABLE: Final = "WINDLASS_PARENT_FD"


def end_with_parent(patience: float) -> None:
    """Drain, as at SIGTERM, once the parent is gone; leave after `patience` seconds in any case."""
    # Taken out: what the tasks start is no child of that parent's.
    pipe = os.environ.pop(VARIABLE, "")
    if pipe:
        os.set_inheritable(int(pipe), False)
        threading.Thread(target=_wait, args=(int(pipe), patience), name="windlass-parent", daemon=True).start()


def _wait(pipe: int, patience: float) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os._exit(1)
