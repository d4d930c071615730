"""Owns a whole engine on one machine: an embedded store and the services, each a real process.

`windlass dev`, `windlass.testing`, the demo and the benchmark all run this one.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from redis import Redis
from redis.exceptions import RedisError
from typing_extensions import override

from windlass_core.embedded_store import server_command, server_environment
from windlass_core.lifeline import Lifeline
from windlass_core.supervision import Supervisor

ProcessName: TypeAlias = Literal["store", "api", "dispatcher", "scheduler"]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
_LAST_OUTPUT_BYTES = 4_000
# In place of a pipe: there is nothing more to hear from it.
_KNOWN = -1


class LocalClusterError(Exception):
    """Something of the cluster did not start; the message has the last of its output."""


class Process:
    """One process of the cluster. `ports` are those it listens on, once it is ready."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        lifeline: Lifeline,
    ) -> None:
        self.name = name
        self._lifeline = lifeline
        self.ports: dict[str, int] = {}
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None
        self._ready_pipe = _KNOWN

    @property
    def pid(self) -> int:
        """Its process id. Raises LocalClusterError while it does not run."""
        if self._popen is None:
            raise LocalClusterError(f"{self.name} does not run")
        return self._popen.pid

    def set(self, **environment: str) -> None:
        """Settings that the next start gets."""
        self._environment.update(environment)

    def start(self) -> None:
        """Starts it; `wait_ready` tells when it takes work."""
        # A session of its own: Ctrl-C in a terminal is for whoever runs the cluster, not for this.
        with self._log.open("ab") as output:
            ready_pipe, write_end = os.pipe()
            try:
                self._popen = subprocess.Popen(
                    self._command,
                    env={**os.environ, **self._environment, "WINDLASS_READY_FD": str(write_end)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
            except OSError:
                os.close(ready_pipe)
                raise
            finally:
                os.close(write_end)
        self._ready_pipe = ready_pipe
        self._lifeline.hold(self._popen.pid)

    def wait_ready(self) -> None:
        """Returns once it is ready; at once where it is known to be. Raises LocalClusterError."""
        if self._ready_pipe == _KNOWN:
            return
        try:
            readable, _, _ = select.select([self._ready_pipe], [], [], START_TIMEOUT_S)
            line = b""
            while readable and (part := os.read(self._ready_pipe, 1024)):
                line += part
        finally:
            os.close(self._ready_pipe)
            self._ready_pipe = _KNOWN
        if not line:
            self.stop()
            raise LocalClusterError(f"{self.name} did not start:\n{self.last_output()}")
        self.ports = json.loads(line)

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it as the kernel would, and waits until it has ended."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait_end(self) -> int:
        """Waits for its end, however long it lives. Returns its exit code, minus the signal that killed it."""
        return 0 if self._popen is None else self._popen.wait()

    def wait(self) -> int:
        """Waits for its end. Returns its exit code."""
        if self._popen is None:
            return 0
        return self._popen.wait(STOP_TIMEOUT_S)

    def restart(self) -> None:
        """Starts it again, on the ports that it had, after it has ended."""
        if self._popen is not None:
            self._lifeline.release(self._popen.pid)
        self.start()
        self.wait_ready()

    def ask_to_stop(self) -> None:
        """SIGTERM, where it runs."""
        if self._popen is not None and self._popen.poll() is None:
            # One that was stopped in its tracks could not hear it.
            self._popen.send_signal(signal.SIGCONT)
            self._popen.terminate()

    def stop(self) -> None:
        """Ends it: kindly first, by force when that takes too long."""
        self.ask_to_stop()
        if self._popen is None:
            return
        try:
            self._popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def last_output(self) -> str:
        """The end of what it wrote."""
        return self._log.read_bytes()[-_LAST_OUTPUT_BYTES:].decode(errors="replace").strip()


class _Store(Process):
    """The embedded store: ready once it answers."""

    def __init__(self, socket: Path, data_dir: Path, log: Path, lifeline: Lifeline) -> None:
        super().__init__("store", server_command(socket, data_dir), server_environment(), log, lifeline)
        self._socket = socket

    @override
    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        super().start()

    @override
    def wait_ready(self) -> None:
        if self._ready_pipe == _KNOWN:
            return
        os.close(self._ready_pipe)
        self._ready_pipe = _KNOWN
        deadline = time.monotonic() + START_TIMEOUT_S
        client = Redis(unix_socket_path=str(self._socket))
        try:
            while self._popen is not None and self._popen.poll() is None:
                try:
                    client.ping()
                except (RedisError, OSError):
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.01)
                else:
                    return
        finally:
            client.close()
        self.stop()
        raise LocalClusterError(f"the store did not start:\n{self.last_output()}")


class LocalCluster:
    """The engine on this machine.

    `data_dir` keeps the store's data; without it a private folder is made, and removed by `stop`.
    Ports of 0 are any free ones. With `store_url` no store is started. `settings` are further
    `WINDLASS_*` settings of the services, by their full names.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        api_port: int = 0,
        dispatcher_port: int = 0,
        http_port: int = 0,
        store_url: str | None = None,
        apis: int = 1,
        dispatchers: int = 1,
        schedulers: int = 1,
        settings: Mapping[str, str] | None = None,
        log_level: str = "WARNING",
    ) -> None:
        self._private: Path | None = None
        self._lifeline: Lifeline | None = None
        self._supervisor: Supervisor | None = None
        self._logs = Path()
        self._data_dir = data_dir
        self._given_url = store_url
        self._counts: dict[ProcessName, int] = {
            "api": apis, "dispatcher": dispatchers, "scheduler": schedulers,
        }  # fmt: skip
        self._first_ports = {"api": api_port, "dispatcher": dispatcher_port, "http": http_port}
        self._settings = {"WINDLASS_LOG_LEVEL": log_level, **(settings or {})}
        self._processes: dict[ProcessName, list[Process]] = {}
        self.store_url = store_url or ""

    @property
    def api_address(self) -> str:
        """host:port of the first api."""
        return f"127.0.0.1:{self._processes['api'][0].ports['grpc']}"

    @property
    def http_address(self) -> str:
        """host:port of the first api's HTTP door."""
        return f"127.0.0.1:{self._processes['api'][0].ports['http']}"

    def processes(self, name: ProcessName) -> list[Process]:
        """The processes of one kind, in the order of their start."""
        return list(self._processes.get(name, []))

    def start(self) -> None:
        """Starts everything; returns when all of it takes work. Raises LocalClusterError."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def supervise(self, say: Callable[[str], None]) -> None:
        """From now on starts again what ends by a fault of its own; `say` is told, in another thread."""
        self._supervisor = Supervisor([each for kind in self._processes.values() for each in kind], say)

    def stop(self) -> None:
        """Ends everything, and leaves nothing behind. May be called twice, or before the start."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        services = [p for name in ("api", "dispatcher", "scheduler") for p in self._processes.pop(name, [])]
        for process in services:
            process.ask_to_stop()
        for process in services:
            process.stop()
        for store in self._processes.pop("store", []):
            store.stop()
        if self._lifeline is not None:
            self._lifeline.let_go()
            self._lifeline = None
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        # The socket lies in a short private path: such names may have 107 bytes at the most.
        self._private = self._logs = Path(tempfile.mkdtemp(prefix="windlass-"))
        self._lifeline = lifeline = Lifeline(str(self._private))
        data_dir = self._data_dir or self._private / "data"
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._given_url is None:
            socket = self._private / "store.sock"
            store = _Store(socket, data_dir, self._private / "store.log", lifeline)
            self._processes["store"] = [store]
            store.start()
            store.wait_ready()
            self.store_url = f"unix://{socket}"
        for name, count in self._counts.items():
            self._processes[name] = [self._service(name, i, lifeline) for i in range(count)]
        services = [process for name in self._counts for process in self._processes[name]]
        for process in services:
            process.start()
        for process in services:
            process.wait_ready()
            process.set(**_addresses(process.ports))

    def _service(self, name: ProcessName, place: int, lifeline: Lifeline) -> Process:
        first = place == 0
        ports = {
            "grpc": self._first_ports.get(name, 0) if first else 0,
            "http": self._first_ports["http"] if first and name == "api" else 0,
        }
        environment = {
            "WINDLASS_STORE_URL": self.store_url,
            "WINDLASS_LOG_FORMAT": "text",
            # Loopback only: what this machine's environment asks of servers is not for these.
            "WINDLASS_REQUIRE_TOKENS": "false",
            **dict.fromkeys(_TLS, ""),
            **_addresses(ports),
            **self._settings,
        }
        command = [sys.executable, "-m", f"windlass_{name}"]
        log = self._logs / f"{name}-{place}.log"
        return Process(name, command, environment, log, lifeline)


_TLS = [
    f"WINDLASS_{name}"
    for name in ("LISTEN_CERT", "LISTEN_KEY", "LISTEN_CLIENT_CA", "STORE_CA", "STORE_CERT", "STORE_KEY")
]


def _addresses(ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "WINDLASS_LISTEN": f"127.0.0.1:{ports['grpc']}",
        "WINDLASS_HTTP_LISTEN": f"127.0.0.1:{ports['http']}",
    }
