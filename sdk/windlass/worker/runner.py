"""Executes attempts: async tasks on the user's loop, sync tasks on threads.

Owns what runs now, timeouts, and how cancelling reaches the user's code. Leases, retries and what
the engine makes of an outcome are others' business: outcomes go to `Reports`, in batches.

Whoever takes an attempt out of `_attempts` first says what became of it; later claims are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from contextvars import Context as ContextVars
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from windlass.context import current
from windlass.exceptions import PayloadTooLarge
from windlass.worker.attempt import Attempt
from windlass.worker.capture import begin_capture, end_capture
from windlass.worker.failure import failure_of, timed_out, traceback_of, unknown_task
from windlass.worker.interruptible import Interruptible
from windlass.worker.invocation import Invocations
from windlass.worker.outcome import Completion, FailedAttempt
from windlass.worker.route import route_of
from windlass.worker.surroundings import Surroundings
from windlass.worker.threads import PoolThread, TaskInterrupted, ThreadPool
from windlass.worker.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from windlass.task import Task
    from windlass.v1 import dispatch_pb2, run_pb2
    from windlass.worker.attempt import Reports
    from windlass.worker.outcome import Outcome
    from windlass.worker.route import Route
    from windlass.worker_labels import WorkerLabels

_log = logging.getLogger("windlass.worker")

# How long an async task may take to end after it was told to at its execution timeout.
STOP_GRACE: Final = 1.0
DEFAULT_MAX_PAYLOAD: Final = 1024 * 1024

_NONE: Final = Surroundings()


class Runner:
    """The attempts of one worker."""

    attempt_type: type[Attempt] = Attempt

    def __init__(
        self,
        tasks: Mapping[Route, Task],
        slots: int,
        worker_id: str,
        labels: WorkerLabels,
        loop: asyncio.AbstractEventLoop,
        reports: Reports,
        surroundings: Surroundings = _NONE,
    ) -> None:
        """Execute `slots` attempts at the same time, on `loop` and on threads."""
        self._tasks = tasks
        self._slots = slots
        self._worker_id = worker_id
        self._labels = labels
        self._loop = loop
        self._reports = reports
        self._surroundings = surroundings
        self._attempts: dict[str, Attempt] = {}
        # Those of them that wait for a slot: the engine has given up on one that still executes here.
        self._waiting: dict[str, Attempt] = {}
        # Those that go on without one.
        self._slotless: set[str] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._threads = ThreadPool(slots, self._run_in_thread)
        self._invocations = Invocations(loop, surroundings, self._threads.submit, self._hand_over)
        self.max_payload = DEFAULT_MAX_PAYLOAD
        if surroundings.capture_logs:
            begin_capture(worker_id)

    # --- From the I/O thread: one hand-over per batch ------------------------------------------

    def start(self, assignments: list[dispatch_pb2.Assignment]) -> None:
        """Execute these in order, at once as far as there are slots."""
        self._hand_over(self._start, assignments)

    def cancel(self, lease_ids: list[str], reason: str, grace: float) -> None:
        """Turn is_cancelled true; after `grace` seconds stop what still executes."""
        # The loop may be busy with the very task that looks at is_cancelled.
        for attempt in self._known(lease_ids):
            attempt.mark_cancelled(reason)
        self._hand_over(self._cancel, lease_ids, reason, grace)

    def stop(self, lease_ids: list[str], reason: str) -> None:
        """Stop these now; nothing is reported of them."""
        for attempt in self._known(lease_ids):
            attempt.mark_cancelled(reason)
        self._hand_over(self._stop, lease_ids, reason)

    def note_labels(self, changes: dict[str, str]) -> None:
        """Let attempts see these labels of their worker."""
        self._labels.note(changes)

    def settled(self, lease_id: str, size: int, *, refused: bool) -> None:
        """Make room for what an attempt streams; `refused`: none of it is taken any more."""
        attempt = self._attempts.get(lease_id)
        if attempt is not None and attempt.stream is not None:
            attempt.stream.settled(size, refused=refused)

    def drain(self) -> None:
        """No more will come: what waits for further attempts begins without them."""
        self._hand_over(self._hurry)

    def _hurry(self) -> None:
        for task in self._tasks.values():
            task.hurry(self._worker_id)

    def _hand_over(self, call: Callable[..., object], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            # Nobody's loop any more: the process is ending, or the embedding program ended it.
            if not self._loop.is_closed():
                raise

    # --- On the user's loop --------------------------------------------------------------------

    async def settle(self, seconds: float) -> None:
        """Give async tasks that were stopped this long to clean up; then let the threads go."""
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=seconds)
        self._threads.close()
        end_capture(self._worker_id)

    def _known(self, lease_ids: Iterable[str]) -> list[Attempt]:
        attempts = (self._attempts.get(lease_id) for lease_id in lease_ids)
        return [attempt for attempt in attempts if attempt is not None]

    def _start(self, assignments: list[dispatch_pb2.Assignment]) -> None:
        tasks, attempts = self._tasks, self._attempts
        worker_id, labels, reports = self._worker_id, self._labels, self._reports
        lifespan = self._surroundings.lifespan
        for assignment in assignments:
            task = tasks.get(route_of(assignment))
            if task is None:
                failure = unknown_task(route_of(assignment), tasks)
                self._report(FailedAttempt(assignment.lease_id, assignment.run_id, failure))
                continue
            attempt = self.attempt_type(assignment, task, worker_id, labels, reports, self._give_way, lifespan)
            attempts[attempt.lease_id] = attempt
            if len(attempts) - len(self._slotless) > self._slots:
                self._waiting[attempt.lease_id] = attempt
            else:
                self._begin(attempt)
        if self._waiting:  # a thread may have ended before they were put there
            self._begin_waiting()

    def _begin(self, attempt: Attempt) -> None:
        if attempt.timeout_ms or attempt.soft_timeout_ms:
            attempt.limits = TimeLimits(
                self._loop,
                attempt.timeout_ms / 1000,
                attempt.soft_timeout_ms / 1000,
                partial(self._time_out, attempt),
                attempt.tell,
            )
        if attempt.task.is_async or self._surroundings.middleware:
            if attempt.soft_timeout_ms:
                attempt.interruptible = Interruptible(partial(self._run_on_loop, attempt))
                coroutine = attempt.interruptible.run()
            else:
                coroutine = self._run_on_loop(attempt)
            attempt.asyncio_task = _start_task(self._loop, coroutine, attempt.task.name)
        else:
            self._threads.submit(attempt)

    def _begin_waiting(self) -> None:
        waiting = self._waiting
        while waiting and len(self._attempts) - len(waiting) - len(self._slotless) < self._slots:
            self._begin(waiting.pop(next(iter(waiting))))

    def _go_without_slot(self, attempt: Attempt) -> None:
        if attempt.lease_id in self._slotless:  # two of its threads have said so
            return
        self._slotless.add(attempt.lease_id)
        self._threads.widen()
        if attempt.lease_id not in self._attempts:  # it has ended meanwhile
            self._forget_slotless(attempt)
        self._begin_waiting()

    def _forget_slotless(self, attempt: Attempt) -> None:
        with contextlib.suppress(KeyError):
            self._slotless.remove(attempt.lease_id)
            self._threads.narrow()

    async def _run_on_loop(self, attempt: Attempt) -> None:
        current.set(attempt.context)
        task = attempt.task
        try:
            if self._surroundings.middleware:
                output = await self._invocations.inside_middleware(attempt)
            elif task.injection is None:
                value = await task.prepare(attempt.input_json, attempt.context)()
                output = task.encode_output(value)
            else:
                output = await self._invocations.with_dependencies(attempt, task.injection)
        except BaseException as error:  # noqa: BLE001 - a task's SystemExit is its failure, not ours
            outcome = self._raised(attempt, error)
        else:
            outcome = self._returned(attempt, output)
        if outcome is not None:
            self._report(outcome)

    def _report(self, outcome: Outcome) -> None:
        """Hand over with all that ends in this turn of the loop."""
        if not self._outcomes:
            self._loop.call_soon(self._flush)
        self._outcomes.append(outcome)

    def _flush(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._reports.finished(outcomes)

    def _cancel(self, lease_ids: list[str], reason: str, grace: float) -> None:
        for attempt in self._known(lease_ids):
            attempt.mark_cancelled(reason)
            self._loop.call_later(grace, self._enforce, attempt)

    def _enforce(self, attempt: Attempt) -> None:
        if attempt.lease_id not in self._attempts:
            return
        if attempt.asyncio_task is not None:
            self._cancel_task(attempt, attempt.asyncio_task)
        else:
            error = TaskInterrupted("cancelled, and did not end within the grace")
            self._abandon(attempt, failure_of(error))

    def _stop(self, lease_ids: list[str], reason: str) -> None:
        for attempt in self._known(lease_ids):
            attempt.mark_cancelled(reason)
            if not self._claim(attempt):
                continue
            if attempt.asyncio_task is not None:
                self._cancel_task(attempt, attempt.asyncio_task)
            else:
                attempt.interrupt()

    def _cancel_task(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        """Cancel, keep the task alive until it has ended, and see to it that it is reported."""

        def ended(done: asyncio.Task[None]) -> None:
            self._stopping.discard(done)
            # Only where it was cancelled before its first step.
            if (outcome := self._raised(attempt, asyncio.CancelledError())) is not None:
                self._report(outcome)

        self._stopping.add(task)
        task.add_done_callback(ended)
        task.cancel()

    def _time_out(self, attempt: Attempt) -> None:
        attempt.timed_out = True
        attempt.mark_cancelled("its execution timeout is over")
        if attempt.asyncio_task is not None:
            self._cancel_task(attempt, attempt.asyncio_task)
            assert attempt.limits is not None  # noqa: S101 - they call this
            attempt.limits.stop_after(STOP_GRACE, partial(self._give_up, attempt))
            return
        stack = "" if attempt.thread is None else attempt.thread.stack()
        self._abandon(attempt, timed_out(attempt.timeout_ms, stack))

    def _abandon(self, attempt: Attempt, failure: run_pb2.Failure) -> None:
        """Report a sync task's failure at once: its thread may be stuck for good.

        Whatever it returns later is dropped, and another thread takes its place.
        """
        if self._claim(attempt):
            self._report(self._failed(attempt, failure))
            attempt.interrupt()

    def _give_up(self, attempt: Attempt) -> None:
        if self._claim(attempt):
            self._report(self._failed(attempt, timed_out(attempt.timeout_ms, "")))

    # --- On whichever thread the attempt is, or ends --------------------------------------------

    def _give_way(self, attempt: Attempt) -> None:
        self._hand_over(self._go_without_slot, attempt)

    def _run_in_thread(self, attempt: Attempt, thread: PoolThread[Attempt]) -> None:
        if attempt.lease_id in self._attempts:
            attempt.thread = thread
            if attempt.answer is None:
                ContextVars().run(self._run, attempt)
            else:
                attempt.answer()

    def _run(self, attempt: Attempt) -> None:
        current.set(attempt.context)
        try:
            output = self._invocations.on_thread(attempt, attempt.task.encode_output)
        except BaseException as error:  # noqa: BLE001 - a task's SystemExit is its failure, not ours
            outcome = self._raised(attempt, error)
        else:
            outcome = self._returned(attempt, output)
        if outcome is not None:
            self._reports.finished([outcome])

    def _claim(self, attempt: Attempt) -> bool:
        """Take the right to say what became of the attempt; the second to ask is told no."""
        if attempt.limits is not None:
            attempt.limits.cancel()
        if attempt.stream is not None:
            attempt.stream.close()
        if self._attempts.pop(attempt.lease_id, None) is None:
            return False
        if not attempt.has_slot:
            self._forget_slotless(attempt)
        if self._waiting:
            self._waiting.pop(attempt.lease_id, None)
            self._hand_over(self._begin_waiting)
        return True

    def _returned(self, attempt: Attempt, output: bytes) -> Outcome | None:
        if attempt.timed_out:
            return self._raised(attempt, TaskInterrupted())
        if len(output) > self.max_payload:
            return self._raised(attempt, self._too_large(attempt, output))
        if not self._claim(attempt):
            return None
        return Completion(attempt.lease_id, attempt.run_id, output)

    def _raised(self, attempt: Attempt, error: BaseException) -> Outcome | None:
        if not self._claim(attempt):
            return None
        if attempt.timed_out:
            stopped = isinstance(error, asyncio.CancelledError)
            stack = traceback_of(error) if stopped else ""
            return self._failed(attempt, timed_out(attempt.timeout_ms, stack))
        return self._failed(attempt, failure_of(error))

    def _too_large(self, attempt: Attempt, output: bytes) -> PayloadTooLarge:
        limit = self.max_payload
        return PayloadTooLarge(
            f"output of task {attempt.task.name!r} is {len(output):,} bytes of JSON, and the "
            f"engine takes {limit:,}: put the data into a file or an object store and return "
            "where it is",
            limit=limit,
            size=len(output),
        )

    def _failed(self, attempt: Attempt, failure: run_pb2.Failure) -> FailedAttempt:
        if not attempt.context.is_cancelled or attempt.timed_out:
            _log.warning(
                "task %s failed (run %s, attempt %d of %d): %s: %s",
                attempt.task.name,
                attempt.run_id,
                attempt.number,
                attempt.context.max_attempts,
                failure.type,
                failure.message.partition("\n")[0],
            )
        return FailedAttempt(attempt.lease_id, attempt.run_id, failure)


def _start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
        return asyncio.Task(coroutine, loop=loop, name=name, eager_start=True)
    return loop.create_task(coroutine, name=name)
