"""Owns the compose project under test: its containers, and what is done to them from outside.

All of it through the docker command line, as a person would. Decides nothing about what must hold.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "deploy" / "compose.yaml"
#: How many replicas of an api or a dispatcher have ports to be published on.
PORTS: Final = 4
_BUILD_SECONDS: Final = 1800.0
_SECONDS: Final = 180.0


class DockerFailed(Exception):
    """A docker command failed; the message has what it said."""


def why_no_docker() -> str:
    """Tell why there is nothing to test with; empty where a daemon and Compose answer."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command, missing in ((["info"], "no Docker daemon answers"), (["compose", "version"], "there is no Compose")):
        asked = subprocess.run(["docker", *command], capture_output=True, text=True, check=False)
        if asked.returncode:
            return f"{missing}: {asked.stderr.strip().partition(chr(10))[0]}"
    return ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container as it is now."""

    id: str
    service: str
    number: int
    health: str
    restarts: int
    started_at: str
    exit_code: int
    running: bool
    details: dict[str, Any]

    @property
    def name(self) -> str:
        """Service and number."""
        return f"{self.service}-{self.number}"


class Stack:
    """The project. Nothing of it is left after `down`."""

    def __init__(self, project: str) -> None:
        """Prepare; starts nothing."""
        self.project = project
        ports = _free_ports(2 * PORTS)
        self.api_ports = ports[:PORTS]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")},
            "API_PORTS": _range(self.api_ports),
            "DISPATCHER_PORTS": _range(ports[PORTS:]),
            # A minute is long for a test: what comes later gets its share within seconds.
            "WINDLASS_CONNECTION_AGE": "5",
        }

    @property
    def api_address(self) -> str:
        """What a client outside uses, wherever the replicas happen to be published."""
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.api_ports)

    def compose(self, *words: str, seconds: float = _SECONDS) -> str:
        """Run a compose command. Returns what it printed. Raises DockerFailed."""
        return self._docker("compose", "-p", self.project, "-f", str(FILE), *words, seconds=seconds)

    def build(self) -> None:
        """Build the images."""
        self.compose("build", "--quiet", seconds=_BUILD_SECONDS)

    def up(self, scale: Mapping[str, int]) -> None:
        """Start what is missing, so many of each, and return when all are healthy."""
        replicas = [word for service, count in scale.items() for word in ("--scale", f"{service}={count}")]
        self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(int(_SECONDS)), *replicas)

    def token(self, whose: str, to: Path) -> Path:
        """Copy the worker's token, or the client's, out of its volume. Returns where it is."""
        path = to / f"{whose}.token"
        self.compose("cp", f"tokens:/var/lib/windlass/{whose}/token", str(path))
        return path

    def containers(self, service: str = "") -> list[Container]:
        """All of them, or those of a service, in order; also those that have ended."""
        ids = self.compose("ps", "--all", "--quiet", *([service] if service else [])).split()
        found = json.loads(self._docker("inspect", *ids)) if ids else []
        return sorted((_container(each) for each in found), key=lambda each: each.name)

    def container(self, service: str, number: int) -> Container:
        """One of them."""
        return next(each for each in self.containers(service) if each.number == number)

    def execute(self, container: Container, *words: str) -> str:
        """Run a program in it. Returns what it printed. Raises DockerFailed."""
        return self._docker("exec", container.id, *words)

    def kill(self, container: Container) -> None:
        """Kill everything in it but its init, which ends with its child: Docker takes that for a crash.

        Of a container that `docker kill` has ended, Docker thinks that it was meant to end.
        """
        self._docker("exec", container.id, "sh", "-c", "kill -KILL -1", may_fail=True)

    def wait_restarted(self, before: Container) -> Container:
        """Wait until it has been started again, and is healthy."""

        def is_back() -> bool:
            now = self.container(before.service, before.number)
            return now.started_at != before.started_at and now.health == "healthy"

        until(is_back, f"{before.name} is healthy again", _SECONDS)
        return self.container(before.service, before.number)

    def run(self, service: str, *words: str) -> str:
        """Run a Python module of the tests in a container of its own, with a service's networks."""
        return self.compose(*self._run_words(service), *words)

    def start(self, service: str, *words: str) -> subprocess.Popen[str]:
        """Do as `run`, and give the process; closing its standard input is for the module to notice."""
        command = ["docker", "compose", "-p", self.project, "-f", str(FILE), *self._run_words(service), *words]
        return subprocess.Popen(
            command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def size(self, image: str) -> int:
        """How many bytes an image takes, with what it is based on."""
        return int(self._docker("image", "inspect", "--format", "{{.Size}}", image))

    def logs(self) -> str:
        """What all of them have written lately."""
        return self.compose("logs", "--no-color", "--tail", "40")

    def down(self) -> None:
        """Remove containers, networks and volumes."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def left(self) -> list[str]:
        """Name what is left of the project."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
        return [line for kind in kinds for line in self._docker(*kind, "--quiet", "--filter", label).split()]

    def _run_words(self, service: str) -> list[str]:
        tests = f"{ROOT / 'tests'}:/app/tests:ro"
        token = f"{self.project}_client-token:/var/lib/windlass/client:ro"
        mounts = ["--volume", tests, "--volume", token, "--env", "WINDLASS_TOKEN_FILE=/var/lib/windlass/client/token"]
        return ["run", "--rm", "--no-deps", "--no-TTY", *mounts, "--entrypoint", "python", service, "-m"]

    def _docker(self, *words: str, seconds: float = _SECONDS, may_fail: bool = False) -> str:
        done = subprocess.run(
            ["docker", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode and not may_fail:
            raise DockerFailed(f"docker {' '.join(words)}: exit code {done.returncode}\n{done.stderr.strip()}")
        return done.stdout


def _container(inspected: dict[str, Any]) -> Container:
    labels, state = inspected["Config"]["Labels"], inspected["State"]
    return Container(
        id=inspected["Id"],
        service=labels["com.docker.compose.service"],
        number=int(labels["com.docker.compose.container-number"]),
        health=state.get("Health", {}).get("Status", ""),
        restarts=inspected["RestartCount"],
        started_at=state["StartedAt"],
        exit_code=state["ExitCode"],
        running=state["Running"],
        details=inspected,
    )


def _range(ports: list[int]) -> str:
    return f"{ports[0]}-{ports[-1]}"


def _free_ports(count: int) -> list[int]:
    """So many ports in a row that nobody listens on."""
    for first in range(17_070, 32_000, count):
        with ExitStack() as sockets:
            try:
                for port in range(first, first + count):
                    sockets.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return list(range(first, first + count))
    raise OSError(f"no {count} free ports in a row")
