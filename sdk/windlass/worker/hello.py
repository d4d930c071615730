"""Owns who a worker says that it is, and the clock of its session."""

from __future__ import annotations

import os
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.v1 import workflow_pb2
    from windlass.worker.offer import Offer


def make_hello(
    worker_id: str,
    name: str,
    definitions: Iterable[workflow_pb2.WorkflowDefinition],
    offer: Offer,
) -> dispatch_pb2.Hello:
    """Say who it is, without what it holds."""
    return dispatch_pb2.Hello(
        worker_id=worker_id,
        name=name,
        sdk=f"python {_sdk_version()}",
        host=f"{socket.gethostname()}:{os.getpid()}",
        labels=offer.labels,
        slots=offer.slots,
        slot_pools=offer.pools,
        queues=offer.queues,
        workflows=definitions,
    )


def boot_clock() -> float:
    """Seconds that also count while the machine sleeps: a session's time does not stop then."""
    # Only Linux tells the two apart.
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def _sdk_version() -> str:
    try:
        return version("windlass")
    except PackageNotFoundError:
        return "unknown"
