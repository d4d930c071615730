"""Owns what has been handed over, sent, acknowledged and awaited on a session. Does no I/O.

add / watch --> [parked: its definition is not registered yet] --> outbox --> in flight --> accepted
                                                                                               |
results of runs in `watched` answer their callers at any time after sending                <---+
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from windlass.exceptions import (
    RunCancelled,
    StoreUnavailable,
    UnknownRun,
    UnknownTask,
    WindlassError,
)
from windlass.transport.call import Later, Pending, Wakeups
from windlass.transport.error_detail import from_detail, from_failure
from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_RUNS: Final = 1000
MAX_BYTES: Final = 3 * 1024 * 1024
#: Submits sent and not yet acknowledged: more gather meanwhile, and travel together.
WINDOW: Final = 8
_OVERHEAD: Final = 200


@dataclass(frozen=True, slots=True)
class _Submits:
    items: list[Pending]


@dataclass(frozen=True, slots=True)
class _Registration:
    definition: workflow_pb2.WorkflowDefinition


@dataclass(frozen=True, slots=True)
class _Subscription:
    run_ids: list[str]


class Ledger:
    """The books of one client's session. Everything here happens on the I/O thread."""

    def __init__(self, later: Later) -> None:
        """Open empty books; `later(seconds, call)` makes a call after a while."""
        self.wakeups: Final = Wakeups()
        self._later = later
        self._outbox: dict[bool, deque[Pending]] = {True: deque(), False: deque()}
        self._parked: dict[str, deque[Pending]] = {}
        self._to_register: deque[workflow_pb2.WorkflowDefinition] = deque()
        self._registered: dict[str, workflow_pb2.WorkflowDefinition] = {}
        self._to_subscribe: deque[str] = deque()
        self._watched: dict[str, list[Pending]] = {}
        self._in_flight: dict[int, _Submits | _Registration | _Subscription] = {}
        self._delayed: set[Pending] = set()
        self._submits_in_flight = 0
        self._next_id = 1

    @property
    def has_work(self) -> bool:
        """Whether anything is to be sent or waited for: whether a connection is needed."""
        return bool(self._watched or self.unacknowledged)

    @property
    def unacknowledged(self) -> bool:
        """Whether anything handed over has not been acknowledged yet."""
        return bool(
            self._outbox[True] or self._outbox[False] or self._parked or self._submits_in_flight or self._delayed
        )

    @property
    def has_request(self) -> bool:
        """Whether `next_request` has something to give now."""
        if self._to_register or self._to_subscribe:
            return True
        return self._submits_in_flight < WINDOW and bool(self._outbox[True] or self._outbox[False])

    @property
    def is_owed_acknowledgements(self) -> bool:
        """Whether anybody still waits for something to be acknowledged."""
        waiting = (*self._outbox.values(), *self._parked.values(), self._delayed)
        sent = (each.items for each in self._in_flight.values() if isinstance(each, _Submits))
        return any(not (item.call.abandoned or item.accepted) for items in (*waiting, *sent) for item in items)

    def add(self, items: Iterable[Pending]) -> None:
        """Take runs to submit."""
        for item in items:
            if item.wants_result:
                self._watch(item)
            self._place(item)

    def watch(self, item: Pending) -> None:
        """Take a run, submitted by whomever, whose end is wanted."""
        self._watch(item)
        self._to_subscribe.append(item.run_id)

    def forget(self, items: Iterable[Pending]) -> None:
        """Nobody waits for these any more. What has been sent stays sent."""
        for item in items:
            item.call.abandoned = True
            self._unwatch(item)

    def next_request(self) -> run_service_pb2.SessionRequest | None:
        """Give what is to be sent next; None while there is nothing."""
        if not self.has_request:
            return None
        if self._to_register:
            definition = self._to_register.popleft()
            return self._request(
                _Registration(definition), register=run_service_pb2.SessionRegister(workflows=[definition])
            )
        if self._to_subscribe:
            run_ids = self._take_subscriptions()
            if run_ids:
                return self._request(
                    _Subscription(run_ids), subscribe=run_service_pb2.SessionSubscribe(run_ids=run_ids)
                )
        if self._submits_in_flight >= WINDOW:  # there was only something to subscribe to, and nobody waits for it
            return None
        for subscribe, queue in self._outbox.items():
            items = _take(queue)
            if items:
                self._submits_in_flight += 1
                runs = [item.submission for item in items if item.submission is not None]
                return self._request(
                    _Submits(items), submit=run_service_pb2.SessionSubmit(runs=runs, subscribe=subscribe)
                )
        return None

    def receive(self, response: run_service_pb2.SessionResponse) -> None:
        """Take what the api says; wakes whoever has waited for it."""
        match response.WhichOneof("message"):
            case "results":
                for result in response.results.results:
                    self._ended(result)
            case "submitted":
                self._submitted(response.request_id, response.submitted.outcomes)
            case "registered":
                self._on_registered(response.request_id, response.registered)
            case "subscribed":
                self._on_subscribed(response.request_id, response.subscribed)
            case None:
                pass  # an answer that a newer api knows: nothing here waits for it
        self.wakeups.flush()

    def disconnected(self) -> None:
        """Put back all that was sent and not answered, to be sent again under the same run ids."""
        unanswered: list[Pending] = []
        for sent in self._in_flight.values():
            if isinstance(sent, _Submits):
                unanswered.extend(sent.items)
        for queue in (*self._parked.values(), *self._outbox.values()):
            unanswered.extend(queue)
            queue.clear()
        self._in_flight.clear()
        self._parked.clear()
        self._to_register.clear()
        self._registered.clear()
        self._submits_in_flight = 0
        for item in unanswered:
            if not item.accepted:
                self._place(item)
        self._subscribe_again()

    def fail_all(self, error: WindlassError) -> None:
        """Answer everybody with `error`, and forget everything."""
        self.disconnected()
        items = {item: None for waiting in self._watched.values() for item in waiting}
        for queue in (*self._parked.values(), *self._outbox.values()):
            items.update(dict.fromkeys(queue))
        items.update(dict.fromkeys(self._delayed))
        self._watched.clear()
        self._parked.clear()
        self._to_register.clear()
        self._to_subscribe.clear()
        self._delayed.clear()
        for queue in self._outbox.values():
            queue.clear()
        for item in items:
            self._answer(item, error)
        self.wakeups.flush()

    def fail_sent(self, error: WindlassError) -> None:
        """Answer the callers of what was sent and not answered: sending it again would fail again."""
        for sent in list(self._in_flight.values()):
            if isinstance(sent, _Submits):
                for item in sent.items:
                    item.accept()
                    self._refuse(item, error)
            elif isinstance(sent, _Registration):
                for item in self._parked.pop(sent.definition.name, ()):
                    item.accept()
                    self._refuse(item, error)
        self.wakeups.flush()

    def _place(self, item: Pending) -> None:
        definition = item.definition
        if definition is None or self._registered.get(definition.name) is definition:
            self._outbox[item.wants_result].append(item)
            return
        parked = self._parked.get(definition.name)
        if parked is None:
            parked = self._parked[definition.name] = deque()
            self._to_register.append(definition)
        parked.append(item)

    def _watch(self, item: Pending) -> None:
        waiting = self._watched.get(item.run_id)
        if waiting is None:
            self._watched[item.run_id] = [item]
        else:
            waiting.append(item)

    def _unwatch(self, item: Pending) -> None:
        waiting = self._watched.get(item.run_id)
        if waiting is not None and item in waiting:
            waiting.remove(item)
            if not waiting:
                del self._watched[item.run_id]

    def _request(
        self,
        sent: _Submits | _Registration | _Subscription,
        *,
        submit: run_service_pb2.SessionSubmit | None = None,
        subscribe: run_service_pb2.SessionSubscribe | None = None,
        register: run_service_pb2.SessionRegister | None = None,
    ) -> run_service_pb2.SessionRequest:
        request_id = self._next_id
        self._next_id += 1
        self._in_flight[request_id] = sent
        return run_service_pb2.SessionRequest(
            request_id=request_id, submit=submit, subscribe=subscribe, register=register
        )

    def _take_subscriptions(self) -> list[str]:
        run_ids: dict[str, None] = {}
        while self._to_subscribe and len(run_ids) < MAX_RUNS:
            run_id = self._to_subscribe.popleft()
            if run_id in self._watched:
                run_ids[run_id] = None
        return list(run_ids)

    def _subscribe_again(self) -> None:
        self._to_subscribe = deque(
            run_id for run_id, waiting in self._watched.items() if any(item.accepted for item in waiting)
        )

    def _submitted(self, request_id: int, outcomes: Iterable[run_service_pb2.SubmitOutcome]) -> None:
        sent = self._in_flight.pop(request_id, None)
        if not isinstance(sent, _Submits):
            return
        self._submits_in_flight -= 1
        for item, outcome in zip(sent.items, outcomes, strict=False):
            if not outcome.HasField("error"):
                item.accept()
                if outcome.duplicate and outcome.run_id != item.run_id:
                    self._follow(item, outcome.run_id)
                if not item.wants_result:
                    self._answer(item, None)
                continue
            error = from_detail(outcome.error)
            if isinstance(error, StoreUnavailable):
                self._try_later([item], error.retry_after)
            else:
                self._refuse(item, error)

    def _follow(self, item: Pending, run_id: str) -> None:
        """Go over to the run that has the item's idempotency key."""
        wanted = item.wants_result and not item.answered and not item.call.abandoned
        self._unwatch(item)
        item.run_id = run_id
        if wanted:
            self.watch(item)

    def _on_registered(self, request_id: int, answer: run_service_pb2.SessionRegistered) -> None:
        sent = self._in_flight.pop(request_id, None)
        if not isinstance(sent, _Registration):
            return
        waiting = self._parked.pop(sent.definition.name, ())
        if not answer.HasField("error"):
            self._registered[sent.definition.name] = sent.definition
            for item in waiting:
                self._place(item)
            return
        error = from_detail(answer.error)
        if isinstance(error, StoreUnavailable):
            self._try_later(waiting, error.retry_after)
            return
        for item in waiting:
            self._refuse(item, error)

    def _on_subscribed(self, request_id: int, answer: run_service_pb2.SessionSubscribed) -> None:
        sent = self._in_flight.pop(request_id, None)
        for run_id in answer.unknown_run_ids:
            self._unknown(run_id)
        if isinstance(sent, _Subscription) and answer.HasField("error"):
            error = from_detail(answer.error)
            for run_id in sent.run_ids:
                for item in self._watched.pop(run_id, ()):
                    self._answer(item, error)

    def _try_later(self, items: Iterable[Pending], seconds: float) -> None:
        waiting = list(items)
        self._delayed.update(waiting)

        def again() -> None:
            for item in waiting:
                if item in self._delayed:
                    self._delayed.discard(item)
                    self._place(item)

        self._later(seconds or _RETRY_SECONDS, again)

    def _ended(self, result: run_pb2.RunResult) -> None:
        waiting = self._watched.pop(result.run_id, None)
        if waiting is None:
            return
        answer = outcome_of(result)
        for item in waiting:
            item.accept()
            self._answer(item, answer)

    def _unknown(self, run_id: str) -> None:
        for item in self._watched.pop(run_id, ()):
            self._answer(item, UnknownRun(f"the engine has no run {run_id}: it was never accepted, or has expired"))

    def _refuse(self, item: Pending, error: WindlassError) -> None:
        self._unwatch(item)
        if isinstance(error, UnknownTask) and item.submission is not None:
            name = item.submission.spec.workflow_name
            error = UnknownTask(
                f"nobody has registered a task named {name!r}: start a worker that has it, or import it here"
            )
        self._answer(item, error)

    def _answer(self, item: Pending, value: run_pb2.RunResult | WindlassError | None) -> None:
        if item.answered:
            return
        item.answered = True
        item.answer(value, self.wakeups)


_RETRY_SECONDS: Final = 0.2


def outcome_of(result: run_pb2.RunResult) -> run_pb2.RunResult | WindlassError:
    """Give the result of a run that completed, else the error that says how it ended."""
    if result.status == run_pb2.RUN_STATUS_COMPLETED:
        return result
    if result.status == run_pb2.RUN_STATUS_CANCELLED:
        why = f": {result.cancel_reason}" if result.cancel_reason else ""
        return RunCancelled(
            f"run {result.run_id} was cancelled{why}", run_id=result.run_id, reason=result.cancel_reason
        )
    return from_failure(result.run_id, result.failure)


def _take(queue: deque[Pending]) -> list[Pending]:
    """Take what fits into one message, leaving out what nobody waits for any more."""
    items: list[Pending] = []
    size = 0
    while queue and len(items) < MAX_RUNS:
        item = queue[0]
        if item.call.abandoned or item.submission is None:
            queue.popleft()
            continue
        spec = item.submission.spec
        size += len(spec.input_json) + len(spec.metadata_json) + _OVERHEAD
        if items and size > MAX_BYTES:
            break
        items.append(queue.popleft())
    return items
