"""The worker's half of the stream as a state machine without I/O.

Owns the leases held, outcomes until they are acknowledged, heartbeats and the session's deadline.
Leaves the network, threads and user code to others: messages and local events go in, effects and
messages come out. A clock is passed in; all times are its seconds.

    DISCONNECTED -- connect() --> GREETING -- Welcome --> OPEN -- disconnect() --> DISCONNECTED

What is held survives a disconnect: Hello names it, and the Welcome says what is still ours.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Final

from windlass.placement import MOST_LABELS_OF_A_WORKER
from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass.worker.effects import Cancel, Reconnect, Refused, Settled, Start, Stop, Welcomed
from windlass.worker.outbox import Outbox
from windlass.worker.outcome import RefreshedTimeout, cancelled, released
from windlass.worker.unsettled import Unsettled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from windlass.v1 import workflow_pb2
    from windlass.worker.effects import Effect
    from windlass.worker.outcome import LoggedLine, Outcome, PutChunk, ToldProgress

# An attempt that ends within this many seconds is reported without having been accepted first.
ACCEPT_DELAY: Final = 0.02
# Attempts are stopped this share of the session's time to live before it ends.
DEADLINE_MARGIN: Final = 0.1
# Leases remembered after they arrived, at the least.
SEEN_LEASES: Final = 10_000


class ProtocolError(Exception):
    """The dispatcher sent what it must not send now."""


class _Phase(enum.Enum):
    DISCONNECTED = enum.auto()
    GREETING = enum.auto()
    OPEN = enum.auto()


class WorkerSession:
    """Everything that a worker knows about its work and its connection."""

    def __init__(self, hello: dispatch_pb2.Hello, clock: Callable[[], float]) -> None:
        """Take who we are: `hello` without held leases and draining, which are filled in."""
        self._hello = hello
        self._clock = clock
        self._phase = _Phase.DISCONNECTED
        self._executing: dict[str, str] = {}  # lease id → run id
        self._finished: dict[str, Outcome] = {}
        self._refreshed: dict[str, RefreshedTimeout] = {}  # of those that execute
        self._slotless: dict[str, str] = {}  # of those that execute, lease id → run id
        self._labels_told = True
        self._streams = Unsettled()
        self._seen: set[str] = set()
        self._seen_order: deque[str] = deque()
        self._seen_limit = max(SEEN_LEASES, 10 * hello.slots)
        self._outbox = Outbox(ACCEPT_DELAY)
        self._draining = False
        self._draining_told = False
        self._heartbeat_interval = 0.0
        self._ttl = 0.0
        self._cancel_grace = 0.0
        self._confirmed_at = 0.0  # when the last message that renewed the session was sent
        self._expired = False
        self._sequence = 0
        self._unanswered_since: float | None = None  # when the heartbeat of _sequence was sent
        self._hello_sent_at = 0.0
        self._heartbeat_due_at = 0.0

    # --- What others may ask -------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the dispatcher has welcomed us on the present stream."""
        return self._phase is _Phase.OPEN

    @property
    def executing(self) -> int:
        """Attempts that execute now."""
        return len(self._executing)

    @property
    def unacknowledged(self) -> int:
        """Outcomes that the engine has not acknowledged."""
        return len(self._finished)

    @property
    def holds_nothing(self) -> bool:
        """Whether all work is done and acknowledged."""
        return not self._executing and not self._finished

    def next_tick_in(self) -> float | None:
        """Seconds until `tick` or `outgoing` has something to do by itself; None for never."""
        times: list[float] = []
        if self._executing and not self._expired:
            times.append(self._deadline)
        if self._phase is _Phase.OPEN:
            times.append(self._heartbeat_due_at)
            if (due := self._outbox.next_due()) is not None:
                times.append(due)
        return max(min(times) - self._clock(), 0.0) if times else None

    # --- The connection ------------------------------------------------------------------------

    def connect(self) -> dispatch_service_pb2.ConnectRequest:
        """Begin a new stream: returns its first message."""
        self._phase = _Phase.GREETING
        self._sequence = 0
        self._unanswered_since = None
        self._outbox.forget_reports()
        self._hello_sent_at = self._clock()
        self._draining_told = self._draining
        self._labels_told = True
        request = dispatch_service_pb2.ConnectRequest(hello=self._hello)
        request.hello.held_lease_ids.extend(self._held())
        request.hello.draining = self._draining
        return request

    def disconnect(self) -> None:
        """Note that the stream has ended."""
        self._phase = _Phase.DISCONNECTED

    def receive(self, response: dispatch_service_pb2.ConnectResponse) -> list[Effect]:
        """Take a message from the dispatcher; returns what is to be done, in order."""
        effects = self._check_deadline()
        kind = response.WhichOneof("message")
        if self._phase is not _Phase.OPEN and kind not in {"welcome", "goodbye"}:
            raise ProtocolError(f"{kind or 'an unknown message'} came before the welcome")
        match kind:
            case "welcome":
                effects += self._on_welcome(response.welcome)
            case "assignments":
                effects += self._on_assignments(response.assignments)
            case "acks":
                effects += self._on_acks(response.acks)
            case "heartbeat_answer":
                effects += self._on_heartbeat_answer(response.heartbeat_answer)
            case "cancel":
                effects += self._on_cancel(response.cancel)
            case "goodbye":
                effects.append(Reconnect(response.goodbye.reason, elsewhere=True))
            case None:
                pass  # a newer dispatcher's message that we do not know
        return effects

    def tick(self) -> list[Effect]:
        """Do what time asks for: stop all before the session expires, notice a silent stream."""
        effects = self._check_deadline()
        now = self._clock()
        silent = self._unanswered_since is not None and now >= self._heartbeat_due_at
        if self._phase is _Phase.OPEN and silent:
            # Silent for a whole interval: try again while there is time before the deadline.
            effects.append(Reconnect("the last heartbeat was not answered", elsewhere=False))
        return effects

    def outgoing(self) -> list[dispatch_service_pb2.ConnectRequest]:
        """Take the messages that are to be sent now."""
        if self._phase is not _Phase.OPEN:
            return []
        now = self._clock()
        requests: list[dispatch_service_pb2.ConnectRequest] = []
        if self._draining and not self._draining_told:
            self._draining_told = True
            requests.append(dispatch_service_pb2.ConnectRequest(draining=dispatch_pb2.Draining()))
        if not self._labels_told:
            self._labels_told = True
            labels = dispatch_pb2.Labels(labels=self._hello.labels)
            requests.append(dispatch_service_pb2.ConnectRequest(labels=labels))
        if now >= self._heartbeat_due_at and self._unanswered_since is None:
            requests.append(self._heartbeat(now))
        requests += self._outbox.take(now)
        return requests

    # --- Local events --------------------------------------------------------------------------

    def finished(self, outcomes: Iterable[Outcome]) -> None:
        """Take outcomes of attempts; those whose lease is no longer ours are dropped."""
        for outcome in outcomes:
            if self._executing.pop(outcome.lease_id, None) is not None:
                self._keep(outcome)

    def refreshed(self, lease_id: str, run_id: str, timeout_ms: int) -> None:
        """Tell the engine that an attempt may execute this long from now on."""
        if lease_id in self._executing:
            refreshed = RefreshedTimeout(run_id, timeout_ms, self._clock())
            self._refreshed[lease_id] = refreshed
            self._outbox.add_refreshed(lease_id, refreshed)

    def slot_released(self, lease_id: str, run_id: str) -> None:
        """Tell the engine that an attempt takes no slots any more."""
        if lease_id in self._executing:
            self._slotless[lease_id] = run_id
            self._outbox.add_slot_release(lease_id, run_id)

    def upsert_labels(self, changes: Mapping[str, str]) -> bool:
        """Have these labels from now on, and tell the engine; False: they would be too many."""
        labels = {**self._hello.labels, **changes}
        if len(labels) > MOST_LABELS_OF_A_WORKER:
            return False
        self._hello.labels.update(labels)
        self._labels_told = False
        return True

    def log(self, entry: LoggedLine) -> None:
        """Take a line that an attempt logged."""
        self._outbox.add_log(entry)

    def progress(self, entry: ToldProgress) -> None:
        """Take how far an attempt is; of one that does not execute it is dropped."""
        if entry.lease_id in self._executing:
            self._outbox.add_progress(entry)

    def chunk(self, entry: PutChunk) -> None:
        """Take a chunk of an attempt's stream; of one that does not execute it is dropped."""
        if entry.lease_id in self._executing:
            self._outbox.add_chunk(self._streams.add(entry))

    def take_dropped_log_lines(self) -> int:
        """Return how many log lines were dropped since this was last asked."""
        dropped, self._outbox.dropped_log_lines = self._outbox.dropped_log_lines, 0
        return dropped

    def drain(self) -> None:
        """Take no new work from here on; what comes all the same is handed back."""
        self._draining = True

    def redefine(self, definitions: Iterable[workflow_pb2.WorkflowDefinition]) -> list[Effect]:
        """Serve other workflows from now on, which the next Hello says."""
        del self._hello.workflows[:]
        self._hello.workflows.extend(definitions)
        return [Reconnect("its tasks have changed", elsewhere=False)]

    def release(self, reason: str) -> list[Effect]:
        """Hand back everything that executes: uncharged, to be run again elsewhere."""
        if not self._executing:
            return []
        executing, self._executing = self._executing, {}
        for lease_id, run_id in executing.items():
            self._keep(released(lease_id, run_id, reason))
        return [Stop(list(executing), reason)]

    # --- Inside --------------------------------------------------------------------------------

    @property
    def _deadline(self) -> float:
        return self._confirmed_at + self._ttl * (1 - DEADLINE_MARGIN)

    def _held(self) -> list[str]:
        return [*self._executing, *self._finished]

    def _keep(self, outcome: Outcome) -> None:
        self._finished[outcome.lease_id] = outcome
        self._refreshed.pop(outcome.lease_id, None)
        self._slotless.pop(outcome.lease_id, None)
        self._outbox.add_outcome(outcome)

    def _check_deadline(self) -> list[Effect]:
        if not self._ttl or self._expired or self._clock() < self._deadline:
            return []
        self._expired = True
        # Told as released, not forgotten: should the session live after all, nothing hangs.
        effects = self.release("the session was about to expire")
        if self._phase is _Phase.OPEN:
            effects.append(Reconnect("the session was about to expire", elsewhere=False))
        return effects

    def _confirm(self, sent_at: float) -> None:
        self._confirmed_at = max(self._confirmed_at, sent_at)
        if self._clock() < self._deadline:
            self._expired = False

    def _on_welcome(self, welcome: dispatch_pb2.Welcome) -> list[Effect]:
        if self._phase is not _Phase.GREETING:
            raise ProtocolError("a second welcome")
        now = self._clock()
        self._phase = _Phase.OPEN
        self._heartbeat_interval = welcome.heartbeat_interval_ms / 1000
        self._ttl = welcome.session_ttl_ms / 1000
        self._cancel_grace = welcome.cancel_grace_ms / 1000
        self._heartbeat_due_at = self._hello_sent_at + self._heartbeat_interval
        self._confirm(self._hello_sent_at)
        effects: list[Effect] = [Welcomed(welcome.max_payload_bytes)]
        effects += self._lose(welcome.lost_lease_ids)
        self._outbox.forget_reports()  # what ended since connect() is among the finished
        self._outbox.add_accepts(self._executing, now - ACCEPT_DELAY)
        for lease_id, refreshed in self._refreshed.items():
            self._outbox.add_refreshed(lease_id, refreshed)
        for lease_id, run_id in self._slotless.items():
            self._outbox.add_slot_release(lease_id, run_id)
        for chunk in self._streams:
            self._outbox.add_chunk(chunk)
        for outcome in self._finished.values():
            self._outbox.add_outcome(outcome)
        return effects

    def _on_assignments(self, message: dispatch_pb2.Assignments) -> list[Effect]:
        if self._expired:
            return []  # of a session that is over; the next Welcome re-delivers what is ours
        start: list[dispatch_pb2.Assignment] = []
        lease_ids: list[str] = []
        seen, executing = self._seen, self._executing
        for assignment in message.assignments:
            lease_id = assignment.lease_id
            if lease_id in seen or lease_id in executing or lease_id in self._finished:
                continue
            seen.add(lease_id)
            self._seen_order.append(lease_id)
            if self._draining:
                self._keep(released(lease_id, assignment.run_id, "the worker is draining"))
            elif assignment.cancel_requested:
                self._keep(cancelled(lease_id, assignment.run_id))
            else:
                executing[lease_id] = assignment.run_id
                lease_ids.append(lease_id)
                start.append(assignment)
        while len(self._seen_order) > self._seen_limit:
            seen.discard(self._seen_order.popleft())
        if not start:
            return []
        self._outbox.add_accepts(lease_ids, self._clock())
        return [Start(start)]

    def _on_acks(self, message: dispatch_pb2.Acks) -> list[Effect]:
        effects: list[Effect] = []
        for ack in message.acks:
            outcome = self._finished.pop(ack.lease_id, None)
            if outcome is not None and ack.outcome in {
                dispatch_pb2.REPORT_OUTCOME_LEASE_LOST,
                dispatch_pb2.REPORT_OUTCOME_REJECTED,
            }:
                effects.append(Refused(outcome.run_id, ack.outcome))
        effects += [Settled(each.lease_id, self._streams.settle(each), each.refused) for each in message.chunks]
        if self._streams:
            for ack in message.acks:
                self._streams.forget(ack.lease_id)
        return effects

    def _on_heartbeat_answer(self, answer: dispatch_pb2.HeartbeatAnswer) -> list[Effect]:
        if answer.sequence == self._sequence and self._unanswered_since is not None:
            self._confirm(self._unanswered_since)
            self._unanswered_since = None
        return self._lose(answer.lost_lease_ids)

    def _on_cancel(self, message: dispatch_pb2.Cancel) -> list[Effect]:
        lease_ids = [lease_id for lease_id in message.lease_ids if lease_id in self._executing]
        if not lease_ids:
            return []
        return [Cancel(lease_ids, message.reason, self._cancel_grace)]

    def _heartbeat(self, now: float) -> dispatch_service_pb2.ConnectRequest:
        self._sequence += 1
        self._unanswered_since = now
        self._heartbeat_due_at = now + self._heartbeat_interval
        request = dispatch_service_pb2.ConnectRequest()
        request.heartbeat.sequence = self._sequence
        request.heartbeat.lease_ids.extend(self._held())
        return request

    def _lose(self, lease_ids: Iterable[str]) -> list[Effect]:
        stop: list[str] = []
        for lease_id in lease_ids:
            self._finished.pop(lease_id, None)
            if self._executing.pop(lease_id, None) is not None:
                self._outbox.forget(lease_id)
                self._refreshed.pop(lease_id, None)
                self._slotless.pop(lease_id, None)
                stop.append(lease_id)
            self._streams.forget(lease_id)
        return [Stop(stop, "the lease was lost")] if stop else []
