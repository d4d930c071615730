"""Owns a command that runs on a terminal of its own, as a user would see it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[78=>])")
# Takes the terminal, so that Ctrl-C is a signal there, and becomes the command. What ignores the signal
# itself, as a shell has its background jobs do, would hand that on.
_ON_A_TERMINAL = """\
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"


class Terminal:
    """`windlass ARGUMENTS` on a pseudo-terminal."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80, **environment: str) -> None:
        """Start it, with nothing of ours in its environment."""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, sys.executable, "-m", "windlass.cli", *arguments],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "PYTHONFAULTHANDLER": "1", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""

    @property
    def text(self) -> str:
        """All that it wrote so far, without the sequences that move the cursor and colour."""
        return _SEQUENCE.sub("", self.output)

    def wait_for(self, said: str, seconds: float = 30.0) -> None:
        """Read on until it has said so. Raises AssertionError where it ends, or takes too long."""
        deadline = time.monotonic() + seconds
        while said not in self.text:
            assert self._read(deadline - time.monotonic()), f"{said!r} was not said:\n{self.text}"

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def end(self, seconds: float = 30.0) -> int:
        """Read on to its end, and give its exit code. Raises AssertionError, with its stacks, where it does not end."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            pass
        if time.monotonic() < deadline:
            return self._process.wait(10)
        self._process.send_signal(signal.SIGABRT)
        while self._read(10.0):
            pass
        raise AssertionError(f"it did not end within {seconds:g} s:\n{self.text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._master)

    def _read(self, seconds: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], max(seconds, 0.0))
        try:
            data = os.read(self._master, 65536) if readable else b""
        except OSError:  # Linux's way to say that nobody has the other end any more
            data = b""
        self.output += data.decode(errors="replace")
        return bool(data)


def windlass(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line without a terminal, with nothing of ours in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "windlass.cli", *arguments],
        cwd=folder,
        env=clean(environment),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a command that is to see these variables and no other WINDLASS_*."""
    return {"PATH": "/usr/bin:/bin", **environment}
