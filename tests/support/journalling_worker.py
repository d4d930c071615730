"""The program of a worker process: `python -m tests.support.journalling_worker JSON`.

Writes its worker id to the descriptor `ready_fd` once it gets work.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.journal import Journal
from tests.support.journalled_app import JournalledApp
from windlass import ClientConfig
from windlass.worker.session import WorkerSession

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2
    from windlass.worker import Worker

_FOR_EVER_MS = 2**31 - 1


def main(options: dict[str, Any]) -> None:
    """Serve until a signal."""
    if options["heedless"]:
        forget_its_fences()
    config = ClientConfig(
        api_address=options["api_address"], dispatcher_address=options["dispatcher_address"], token=None
    )
    gate = Path(options["gate"])
    journalled = JournalledApp(config, Journal(Path(options["journal"])), gate)
    tasks = [getattr(journalled, name) for name in options["tasks"]]
    worker = journalled.app.worker(options["name"], slots=options["slots"], workflows=tasks)
    threading.Thread(target=_tell_ready, args=(worker, options["ready_fd"]), daemon=True).start()
    worker.start()


def forget_its_fences() -> None:
    """Take the worker's own fences out, so that only the store's is left.

    It takes its session for endless: it neither stops its attempts in time nor sends heartbeats. And it
    goes on with attempts of which it is told that their leases are lost.
    """
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Any]:
        welcome.session_ttl_ms = _FOR_EVER_MS
        welcome.heartbeat_interval_ms = _FOR_EVER_MS
        return [*welcomed(self, welcome)]

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]
    WorkerSession._lose = lambda self, lease_ids: []  # type: ignore[method-assign]


def _tell_ready(worker: Worker, ready_fd: int) -> None:
    worker.wait_ready()
    os.write(ready_fd, worker.id.encode())
    os.close(ready_fd)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
