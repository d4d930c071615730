"""Owns `windlass dev`: an engine and a reloading worker, up and down together.

Leaves the engine to its LocalCluster, and the worker to its own process.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from windlass.cli.app_reference import AppReference, default_reference, parse
from windlass.cli.stop_signal import stop_event
from windlass.cli.worker_command import WorkerCommand
from windlass.engine import LocalCluster, local_cluster
from windlass.exceptions import InvalidConfig, WindlassError

if TYPE_CHECKING:
    import threading


_API_ADDRESS: Final = "WINDLASS_API_ADDRESS"
#: What a shell may have exported for another engine, and what keeps this one's clients out.
_OF_ANOTHER_ENGINE: Final = tuple(
    f"WINDLASS_{name}" for name in ("DISPATCHER_ADDRESS", "TOKEN", "TOKEN_FILE", "TLS_CA", "TLS_CERT", "TLS_KEY")
)


@dataclass(frozen=True, slots=True)
class Development:
    """What `windlass dev` was asked for. A port of 0 is any free one."""

    app: str
    api_port: int
    dispatcher_port: int
    http_port: int
    data_dir: Path
    slots: int
    log_level: str

    def run(self) -> None:
        """Run the engine and the worker until told to stop; leaves nothing behind but the data."""
        folder = Path.cwd()
        reference = parse(self.app) if self.app else default_reference(folder)
        with stop_event() as stop:
            began = time.monotonic()
            data_dir = self.data_dir.absolute()
            lock = _lock(data_dir)
            cluster = local_cluster()(
                data_dir=data_dir,
                api_port=self.api_port,
                dispatcher_port=self.dispatcher_port,
                http_port=self.http_port,
                log_level=self.log_level,
            )
            try:
                _start(cluster)
                if not stop.is_set():
                    cluster.supervise(_say)
                    _greet(cluster, reference, data_dir, time.monotonic() - began)
                    _warn_of_another_engine(cluster.api_address)
                    self._work(cluster, reference, folder, stop)
            finally:
                cluster.stop()
                lock.close()
        _say("everything has stopped")

    def _work(
        self,
        cluster: LocalCluster,
        reference: AppReference | None,
        folder: Path,
        stop: threading.Event,
    ) -> None:
        if reference is None:
            stop.wait()
            return
        arguments = [str(reference), "--slots", str(self.slots)]
        environment = dict.fromkeys(_OF_ANOTHER_ENGINE, "") | {_API_ADDRESS: cluster.api_address}
        WorkerCommand(arguments, folder, environment).run(stop)


def _lock(data_dir: Path) -> IO[bytes]:
    """Make the folder and keep others out of it until the file is closed: two stores would ruin it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (data_dir / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise InvalidConfig(f"another windlass dev uses {data_dir}; give this one another --data-dir") from None
    return lock


def _start(cluster: LocalCluster) -> None:
    try:
        cluster.start()
    except Exception as error:  # the engine's own errors, which the SDK cannot name
        first, *output = str(error).splitlines()  # the last line says most: where a traceback ends
        raise WindlassError(f"the engine did not start: {first} {''.join(output[-1:])}".strip()) from error


def _say(said: str) -> None:
    print(f"windlass: {said}", file=sys.stderr, flush=True)


def _warn_of_another_engine(api_address: str) -> None:
    """The worker here is given what it needs; a client in another terminal may have what this one has."""
    names = [name for name in _OF_ANOTHER_ENGINE if os.environ.get(name)]
    if os.environ.get(_API_ADDRESS, api_address) != api_address:
        names.insert(0, _API_ADDRESS)
    if names:
        said = f"set in this shell for another engine: {', '.join(names)}; clients of this one need that unset"
        print(f"warning: {said}", file=sys.stderr, flush=True)


def _greet(cluster: LocalCluster, reference: AppReference | None, data_dir: Path, seconds: float) -> None:
    worker = (
        f"{reference}, restarts when a .py file changes"
        if reference
        else "none: name an app, windlass dev module:app, or write tasks.py"
    )
    lines = (
        f"Windlass is up ({seconds:.1f} s). Ctrl-C stops it.",
        f"  api     {cluster.api_address}",
        f"  http    {cluster.http_address}",
        f"  data    {data_dir}",
        f"  worker  {worker}",
    )
    print(*lines, sep="\n", flush=True)
