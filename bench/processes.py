"""Owns the processes that the benchmark starts: each is ended, by its pid, with all below it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.accounting import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
_END_GRACE_SECONDS = 4.0


class ChildFailed(Exception):
    """A process of the benchmark ended or answered with an error; carries its last output."""


def _environment() -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WINDLASS_", "PYTHON", "CELERY", "dramatiq"))
    }
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Child:
    """One process: `python -m bench.child ARGUMENTS`, its output kept in a file."""

    def __init__(self, python: Path, arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(python), "-m", "bench.child", *arguments],
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                # A group of its own, not a session: the kernel may share the machine out by session.
                process_group=0,
            )
        self.pid = self._process.pid

    def ask(self, question: Mapping[str, Any], patience_seconds: float) -> dict[str, Any]:
        """Send one line of JSON and return the line that answers it."""
        if self._process.stdin is None:
            raise ChildFailed("the process takes no questions")
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return self.listen(patience_seconds)

    def listen(self, patience_seconds: float) -> dict[str, Any]:
        """The next answer. The process says nothing unasked, except that it is ready."""
        output = self._process.stdout
        if output is None:
            raise ChildFailed("the process says nothing")
        if not select.select([output], [], [], patience_seconds)[0]:
            raise ChildFailed(f"no answer within {patience_seconds:.0f} s:\n{self.last_output()}")
        line = output.readline()
        if not line:
            raise ChildFailed(f"ended with {self._process.wait()}:\n{self.last_output()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ChildFailed(f"{answer['error']}\n{self.last_output()}")
        return answer

    def last_output(self) -> str:
        """The end of what it has printed."""
        return self.log.read_text(errors="replace")[-3_000:]

    def end(self) -> None:
        """Ask with SIGTERM, then kill what is left of the tree. Again: nothing happens."""
        pids = tree([self.pid]) if self._process.poll() is None else []
        if pids:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_GRACE_SECONDS)
        for pid in pids:
            try:
                # The group is this child's own: a number that was given out again is not in it.
                if os.getpgid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def start_child(
    role: str,
    module: str,
    target: Mapping[str, Any],
    folder: Path,
    stack: ExitStack,
    python: Path | None = None,
) -> Child:
    """A process of that role of a system's module, ended with the stack."""
    arguments = [role, module, json.dumps(target)]
    child = Child(python or Path(sys.executable), arguments, folder / f"{module}.log")
    stack.callback(child.end)
    return child
