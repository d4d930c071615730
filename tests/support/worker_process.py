"""Owns a worker as a process of its own, to be stopped, continued and killed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 20.0
_STOP_SECONDS = 20.0
_REFUSED = "was not taken: REPORT_OUTCOME_LEASE_LOST"
_WELCOMED = "connected to the dispatcher at"


class WorkerProcess:
    """One running worker."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        api_address: str,
        journal: Path,
        dispatcher_address: str = "",
        slots: int = 50,
        tasks: Sequence[str] = ("work", "held"),
        heedless: bool = False,
    ) -> None:
        """Start it. `wait_ready` tells when it gets work."""
        self.name = name
        self.id = ""
        self.gate = folder / f"{name}.gate"
        self._log = folder / f"{name}.log"
        self._ready, write_end = os.pipe()
        options = {
            "name": name,
            "api_address": api_address,
            "dispatcher_address": dispatcher_address,
            "journal": str(journal),
            "gate": str(self.gate),
            "slots": slots,
            "tasks": list(tasks),
            "heedless": heedless,
            "ready_fd": write_end,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.journalling_worker", json.dumps(options)],
                cwd=_ROOT,
                env={key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
                start_new_session=True,
            )
        os.close(write_end)

    def wait_ready(self) -> None:
        """Return once it gets work; learn its id."""
        readable, _, _ = select.select([self._ready], [], [], _START_SECONDS)
        self.id = os.read(self._ready, 100).decode() if readable else ""
        os.close(self._ready)
        assert self.id, f"worker {self.name} did not start:\n{self.log()}"

    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text(errors="replace")

    def refusals(self) -> int:
        """How many of its answers were refused because the lease was no longer its own."""
        return self.log().count(_REFUSED)

    def welcomes(self) -> int:
        """How often a dispatcher has taken it in."""
        return self.log().count(_WELCOMED)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as the kernel would, and wait until it has ended."""
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM: it drains."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self) -> None:
        """Wait for its end. Raises TimeoutExpired where it does not come."""
        self._process.wait(_STOP_SECONDS)
