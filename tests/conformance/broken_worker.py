"""The Python worker with one rule of the protocol taken out: `python -m tests.conformance.broken_worker FAULT`.

Shows that the suite notices.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tests.conformance import broken_capabilities
from tests.conformance.python_worker import serve
from windlass.v1 import dispatch_pb2
from windlass.worker import stream, worker
from windlass.worker.outbox import Outbox
from windlass.worker.runner import Runner
from windlass.worker.session import WorkerSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from windlass.v1 import dispatch_service_pb2
    from windlass.worker.effects import Effect

_FOR_EVER_MS = 2**31 - 1


def runs_again() -> None:
    """Takes each assignment for a new one."""
    take = WorkerSession._on_assignments

    def on_assignments(self: WorkerSession, message: dispatch_pb2.Assignments) -> list[Effect]:
        for assignment in message.assignments:
            self._seen.discard(assignment.lease_id)
            self._executing.pop(assignment.lease_id, None)
            self._finished.pop(assignment.lease_id, None)
        return take(self, message)

    WorkerSession._on_assignments = on_assignments  # type: ignore[method-assign]


def ignores_slots() -> None:
    """Executes whatever comes at once."""
    begin = Runner.__init__

    def init(self: Runner, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type] # passed on as they came
        self._slots = 1_000_000

    Runner.__init__ = init  # type: ignore[assignment, method-assign]


def heeds_no_loss() -> None:
    """Goes on with attempts whose leases are lost, and takes its session for endless."""
    _change_welcome(dispatch_pb2.Welcome(session_ttl_ms=_FOR_EVER_MS))
    WorkerSession._lose = lambda self, lease_ids: []  # type: ignore[method-assign]


def forgets_results() -> None:
    """Takes a result for told once it is sent."""
    sent = WorkerSession.outgoing

    def outgoing(self: WorkerSession) -> list[dispatch_service_pb2.ConnectRequest]:
        requests = sent(self)
        self._finished.clear()
        return requests

    WorkerSession.outgoing = outgoing  # type: ignore[method-assign]


def makes_haste() -> None:
    """Connects again without a pause."""
    stream.FIRST_DELAY = stream.LONGEST_DELAY = 0.0  # type: ignore[misc]


def ignores_cancels() -> None:
    """Goes on with what is to be cancelled."""
    WorkerSession._on_cancel = lambda self, message: []  # type: ignore[method-assign]


def beats_no_more() -> None:
    """Sends no heartbeats."""
    _change_welcome(dispatch_pb2.Welcome(heartbeat_interval_ms=_FOR_EVER_MS))


def ends_at_sigterm() -> None:
    """Leaves its work where it is."""

    @contextlib.contextmanager
    def no_signals(on_first: Callable[[str], bool]) -> Iterator[None]:
        yield

    worker.taken_signals = no_signals  # type: ignore[attr-defined]


def starts_what_is_cancelled() -> None:
    """Does not look at cancel_requested."""
    take = WorkerSession._on_assignments

    def on_assignments(self: WorkerSession, message: dispatch_pb2.Assignments) -> list[Effect]:
        for assignment in message.assignments:
            assignment.cancel_requested = False
        return take(self, message)

    WorkerSession._on_assignments = on_assignments  # type: ignore[method-assign]


def logs_late() -> None:
    """Sends log lines after what became of their attempt."""
    take = Outbox.take

    def late(self: Outbox, now: float) -> list[dispatch_service_pb2.ConnectRequest]:
        lines, self._logs = self._logs, deque()
        requests = take(self, now)
        self._logs = lines
        if any(each.report.completed for each in requests):
            requests += take(self, now)
        return requests

    Outbox.take = late  # type: ignore[method-assign]


def goes_by_the_task() -> None:
    """Takes a task's name alone for enough."""

    class ByTask(dict[Any, Any]):
        @override
        def get(self, route: Any, default: Any = None) -> Any:
            return next((task for (_, name), task in self.items() if name == route[1]), default)

    begin = Runner.__init__

    def init(self: Runner, tasks: Any, *arguments: Any) -> None:
        begin(self, ByTask(tasks), *arguments)

    Runner.__init__ = init  # type: ignore[assignment, method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        runs_again,
        ignores_slots,
        heeds_no_loss,
        forgets_results,
        makes_haste,
        beats_no_more,
        ignores_cancels,
        ends_at_sigterm,
        starts_what_is_cancelled,
        logs_late,
        goes_by_the_task,
        *broken_capabilities.FAULTS,
    )
}


def _change_welcome(numbers: dispatch_pb2.Welcome) -> None:
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        welcome.MergeFrom(numbers)
        return welcomed(self, welcome)

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]


if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    serve()
