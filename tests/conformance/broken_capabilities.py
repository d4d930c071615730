"""Owns the faults of what the protocol leaves to a worker: each has the Python worker do it, and do it wrong."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from windlass.v1 import dispatch_pb2
from windlass.worker import outbox, stream
from windlass.worker.offer import Offer
from windlass.worker.outbox import Outbox
from windlass.worker.outcome import RefreshedTimeout
from windlass.worker.outgoing_stream import OutgoingStream
from windlass.worker.processes import children, solo_children
from windlass.worker.processes.crash import crashed
from windlass.worker.runner import Runner
from windlass.worker.session import WorkerSession
from windlass.worker.time_limits import TimeLimits
from windlass.worker.unsettled import Unsettled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from windlass.v1 import dispatch_service_pb2
    from windlass.worker.effects import Effect
    from windlass.worker.outcome import FailedAttempt, Outcome
    from windlass.worker.processes.child_process import ChildProcess

_NEVER = float(2**31)


def tells_no_last_word() -> None:
    """Leaves what an attempt said after its first word behind when it ends."""
    outbox.PROGRESS_EVERY = _NEVER  # type: ignore[misc]
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


def streams_late() -> None:
    """Sends chunks after what became of their attempt."""
    take = Outbox.take

    def late(self: Outbox, now: float) -> list[dispatch_service_pb2.ConnectRequest]:
        chunks, self._chunks = self._chunks, deque()
        requests = take(self, now)
        self._chunks = chunks
        if any(each.report.completed for each in requests):
            requests += take(self, now)
        return requests

    Outbox.take = late  # type: ignore[method-assign]


def streams_once() -> None:
    """Takes a chunk for kept once it is sent."""
    Unsettled.__iter__ = lambda self: iter(())  # type: ignore[method-assign]


def hears_no_refusal() -> None:
    """Does not look at refused."""
    settled = OutgoingStream.settled

    def settled_well(self: OutgoingStream, size: int, *, refused: bool) -> None:
        settled(self, size, refused=False)

    OutgoingStream.settled = settled_well  # type: ignore[method-assign]


def has_one_pool() -> None:
    """Says that it has several pools, and executes no more at a time than the first has slots."""
    Offer.all_slots = property(lambda self: self.slots)  # type: ignore[assignment, method-assign]


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


def _tell_crashes_as(crash: dispatch_pb2.Crash.ValueType, *tellers: ModuleType) -> None:
    def crashed_so(child: ChildProcess) -> list[FailedAttempt]:
        return [each._replace(crash=crash) for each in crashed(child)]

    for teller in tellers:
        teller.crashed = crashed_so  # type: ignore[attr-defined]


FAULTS: tuple[Callable[[], None], ...] = (
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
    streams_late,
    streams_once,
    hears_no_refusal,
    has_one_pool,
    forgets_what_it_follows,
    hides_its_hooks,
)
