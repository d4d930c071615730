"""Owns the workers and clients of the three languages, behind one shape each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from examples.polyglot.build import GO, TYPESCRIPT
from windlass import RunCancelled, TaskRunError, Windlass, WindlassError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DEADLINE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.02
_STOP_S: Final = 20.0

WORKERS: Final = {
    "python": [sys.executable, "-m", "windlass.cli", "worker", "examples.polyglot.tasks", "--name", "python-worker"],
    "go": [str(GO / "bin" / "worker")],
    "typescript": ["node", str(TYPESCRIPT / "dist" / "worker-main.js")],
}
CONFORMANCE: Final = {
    "python": [sys.executable, "-m", "tests.conformance.python_worker"],
    "go": [str(GO / "bin" / "conformance")],
    "typescript": ["node", str(TYPESCRIPT / "dist" / "conformance-main.js")],
}
# What a worker does not have of what the protocol leaves to it.
WITHOUT: Final = {
    "python": [],
    "go": ["crashes"],
    "typescript": ["crashes"],
}
CLIENTS: Final = {
    "go": [str(GO / "bin" / "client")],
    "typescript": ["node", str(TYPESCRIPT / "dist" / "client-main.js")],
}


class Unmet(Exception):
    """Something did not come as it has to; the message says what."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what nobody announces. Raises Unmet."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise Unmet(f"not within {DEADLINE_S:g} s: {what}")
        time.sleep(_LOOK_EVERY_S)


class Worker:
    """One worker process. Used as a context: it has ended afterwards."""

    def __init__(self, language: str, app: Windlass, environment: Mapping[str, str], log: Path) -> None:
        """Start it; returns once it gets work."""
        with log.open("ab") as output:
            self.process = subprocess.Popen(WORKERS[language], env=environment, stdout=output, stderr=output)
        until(
            lambda: any(each.host.endswith(f":{self.process.pid}") for each in app.workers.list()),
            f"the {language} worker",
        )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()

    def kill(self) -> None:
        """End it as the kernel would."""
        self.process.kill()
        self.process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM: it drains."""
        self.process.terminate()

    def wait(self) -> int:
        """Wait for its end; gives its exit code."""
        return self.process.wait(_STOP_S)


@dataclass(frozen=True)
class ProgramClient:
    """The client of an example, as a program that prints JSON."""

    language: str
    environment: Mapping[str, str]

    def run(self, workflow: str, given: Any) -> Any:
        """Submit and wait; gives the output, or the error as an object."""
        return self._ask("run", workflow, json.dumps(given))

    def submit(self, workflow: str, given: Any) -> Any:
        """Submit; gives the run's id."""
        return self._ask("submit", workflow, json.dumps(given))

    def wait(self, run_id: str) -> Any:
        """Do as `run`, for a run that was submitted before."""
        return self._ask("wait", run_id)

    def cancel(self, run_id: str) -> Any:
        """Cancel."""
        return self._ask("cancel", run_id)

    def list(self, workflow: str) -> list[tuple[str, str]]:
        """Give ids and statuses of a workflow's runs, newest first."""
        return [(each["run_id"], each["status"]) for each in self._ask("list", workflow)]

    def _ask(self, *arguments: str) -> Any:
        command = [*CLIENTS[self.language], *arguments]
        ended = subprocess.run(
            command, env=self.environment, check=False, capture_output=True, text=True, timeout=2 * DEADLINE_S
        )
        if ended.returncode:
            raise Unmet(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")
        return json.loads(ended.stdout)


@dataclass(frozen=True)
class PythonClient:
    """The SDK, in the shape of the others."""

    app: Windlass
    language: str = "python"

    def run(self, workflow: str, given: Any) -> Any:
        """See ProgramClient, as for the others."""
        return self._answer(lambda: self.app.enqueue(workflow, given).result(DEADLINE_S))

    def submit(self, workflow: str, given: Any) -> Any:
        """Submit."""
        return self._answer(lambda: self.app.enqueue(workflow, given).id)

    def wait(self, run_id: str) -> Any:
        """Wait."""
        return self._answer(lambda: self.app.runs.get_result(run_id, DEADLINE_S))

    def cancel(self, run_id: str) -> Any:
        """Cancel."""
        return self._answer(lambda: self.app.runs.cancel(run_id, reason="cancelled from Python"))

    def list(self, workflow: str) -> list[tuple[str, str]]:
        """List."""
        return [(run.id, f"RUN_STATUS_{run.status.name}") for run in self.app.runs.list(workflow_names=[workflow])]

    def _answer(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except TaskRunError as error:
            return {"error": "RunFailed", "type": error.type, "message": error.error, "attempt": error.attempt}
        except RunCancelled as error:
            return {"error": "RunCancelled", "message": error.reason}
        except WindlassError as error:
            return {"error": "Error", "type": type(error).__name__, "message": str(error)}


Client = PythonClient | ProgramClient
