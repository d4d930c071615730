"""The Python worker with one rule of the protocol taken out: `python -m tests.conformance.broken_worker FAULT`.

Shows that the suite notices.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tests.conformance.python_worker import serve
from windlass.v1 import dispatch_pb2
from windlass.worker import outbox, stream, worker
from windlass.worker.offer import Offer
from windlass.worker.outbox import Outbox
from windlass.worker.outcome import RefreshedTimeout
from windlass.worker.processes import children, solo_children
from windlass.worker.processes.crash import crashed
from windlass.worker.runner import Runner
from windlass.worker.session import WorkerSession
from windlass.worker.time_limits import TimeLimits
from windlass.worker.unsettled import Unsettled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from windlass.v1 import dispatch_service_pb2
    from windlass.worker.effects import Effect
    from windlass.worker.outcome import FailedAttempt, Outcome
    from windlass.worker.processes.child_process import ChildProcess

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


def tells_no_last_word() -> None:
    """Leaves what an attempt said after its first word behind when it ends."""
    outbox.PROGRESS_EVERY = float(_FOR_EVER_MS)  # type: ignore[misc]
    take = Outbox.add_outcome

    def add_outcome(self: Outbox, outcome: Outcome) -> None:
        self._progress.pop(outcome.lease_id, None)
        take(self, outcome)

    Outbox.add_outcome = add_outcome  # type: ignore[method-assign]


def waits_with_its_words() -> None:
    """Lets progress lie until something else is to be said."""

    def on_progress(self: stream.Stream) -> None:
        for entry in self._told.take():
            self._session.progress(entry)

    stream.Stream._on_progress = on_progress  # type: ignore[method-assign]


def tells_every_word() -> None:
    """Sends progress as often as tasks tell it."""
    outbox.PROGRESS_EVERY = 0.0  # type: ignore[misc]


def tells_no_task() -> None:
    """Does not look at soft_timeout_ms."""
    TimeLimits._tell = lambda self: None  # type: ignore[method-assign]


def stops_nobody_who_was_told() -> None:
    """Forgets the execution timeout at the soft one."""
    tell = TimeLimits._tell

    def tell_and_forget(self: TimeLimits) -> None:
        self._cancel()
        tell(self)

    TimeLimits._tell = tell_and_forget  # type: ignore[method-assign]


def keeps_the_first_limit() -> None:
    """Tells the engine that an attempt has more time, and stops it as before."""
    TimeLimits._refresh = lambda self, execution: None  # type: ignore[method-assign]


def leaves_the_soft_limit() -> None:
    """Moves the execution timeout alone."""
    refresh = TimeLimits._refresh

    def refresh_one(self: TimeLimits, execution: float) -> None:
        soft, self._soft = self._soft, None
        refresh(self, execution)
        self._soft = soft

    TimeLimits._refresh = refresh_one  # type: ignore[method-assign]


def says_refreshes_once() -> None:
    """Does not repeat after a Welcome who has got more time."""
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        self._refreshed.clear()
        return welcomed(self, welcome)

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]


def repeats_what_was_asked() -> None:
    """Says the whole time again, and not what is left of it."""
    RefreshedTimeout.left_ms = lambda self, now: self.timeout_ms  # type: ignore[method-assign]


def tells_no_crash() -> None:
    """Reports a crash like any failure."""
    _tell_crashes_as(dispatch_pb2.CRASH_UNSPECIFIED, children, solo_children)


def blames_all() -> None:
    """Says of all that died together that each was alone."""
    _tell_crashes_as(dispatch_pb2.CRASH_ALONE, children)


def isolates_nobody() -> None:
    """Does not look at isolated."""
    begin = children.Children.start

    def start(self: children.Children, assignments: list[dispatch_pb2.Assignment]) -> None:
        for each in assignments:
            each.isolated = False
        begin(self, assignments)

    children.Children.start = start  # type: ignore[method-assign]


def hides_its_labels() -> None:
    """Says them at first, and not when it comes back."""
    connect = WorkerSession.connect

    def connect_without(self: WorkerSession) -> dispatch_service_pb2.ConnectRequest:
        request = connect(self)
        self._hello.labels.clear()
        return request

    WorkerSession.connect = connect_without  # type: ignore[method-assign]


def tells_new_labels_alone() -> None:
    """Leaves out the labels that have not changed."""
    upsert = WorkerSession.upsert_labels

    def upsert_alone(self: WorkerSession, changes: Mapping[str, str]) -> bool:
        self._hello.labels.clear()
        return upsert(self, changes)

    WorkerSession.upsert_labels = upsert_alone  # type: ignore[method-assign]


def keeps_given_slots() -> None:
    """Tells the engine that a slot is free, and does not use it."""
    Runner._go_without_slot = lambda self, attempt: None  # type: ignore[method-assign]


def tells_given_slots_once() -> None:
    """Does not repeat after a Welcome who has given up its slot."""
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        self._slotless.clear()
        return welcomed(self, welcome)

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]


def streams_once() -> None:
    """Forgets at a Welcome which chunks are not settled."""
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        self._streams = Unsettled()
        return welcomed(self, welcome)

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]


def has_one_pool() -> None:
    """Says that it has several pools, and executes no more at a time than the first has slots."""
    Offer.all_slots = property(lambda self: self.slots)  # type: ignore[assignment, method-assign]


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


def forgets_what_it_follows() -> None:
    """Drops what a hook is told."""
    take = WorkerSession._on_assignments

    def on_assignments(self: WorkerSession, message: dispatch_pb2.Assignments) -> list[Effect]:
        for assignment in message.assignments:
            assignment.spec.ClearField("hook")
        return take(self, message)

    WorkerSession._on_assignments = on_assignments  # type: ignore[method-assign]


def hides_its_hooks() -> None:
    """Says of a workflow only what its task is."""
    connect = WorkerSession.connect

    def connect_without(self: WorkerSession) -> dispatch_service_pb2.ConnectRequest:
        request = connect(self)
        for workflow in request.hello.workflows:
            workflow.ClearField("on_failure")
            workflow.ClearField("on_success")
        return request

    WorkerSession.connect = connect_without  # type: ignore[method-assign]


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
        tells_no_last_word,
        waits_with_its_words,
        tells_every_word,
        tells_no_task,
        stops_nobody_who_was_told,
        keeps_the_first_limit,
        leaves_the_soft_limit,
        says_refreshes_once,
        repeats_what_was_asked,
        tells_no_crash,
        blames_all,
        isolates_nobody,
        hides_its_labels,
        tells_new_labels_alone,
        keeps_given_slots,
        tells_given_slots_once,
        streams_once,
        has_one_pool,
        goes_by_the_task,
        forgets_what_it_follows,
        hides_its_hooks,
    )
}


def _tell_crashes_as(crash: dispatch_pb2.Crash.ValueType, *tellers: ModuleType) -> None:
    def crashed_so(child: ChildProcess) -> list[FailedAttempt]:
        return [each._replace(crash=crash) for each in crashed(child)]

    for teller in tellers:
        teller.crashed = crashed_so  # type: ignore[attr-defined]


def _change_welcome(numbers: dispatch_pb2.Welcome) -> None:
    welcomed = WorkerSession._on_welcome

    def on_welcome(self: WorkerSession, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        welcome.MergeFrom(numbers)
        return welcomed(self, welcome)

    WorkerSession._on_welcome = on_welcome  # type: ignore[method-assign]


if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    serve()
