"""Owns what a task is told about its own run. Executes nothing and holds no connection."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, overload

from windlass.duration import to_kept_milliseconds
from windlass.exceptions import InvalidInput
from windlass.other_task import name_of, output_of
from windlass.priority import Priority
from windlass.progress import progress_message
from windlass.stream_chunk import chunk_message
from windlass.transport.error_detail import from_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.duration import Duration
    from windlass.exceptions import TaskRunError
    from windlass.other_task import OtherTask, OutT_co
    from windlass.placement import LabelValue
    from windlass.v1 import dispatch_pb2, run_pb2
    from windlass.worker_labels import WorkerLabels

#: The context of the task that executes here, so that runs submitted inside it know their parent.
current: Final[ContextVar[Context | None]] = ContextVar("windlass_context", default=None)


class Voice(Protocol):
    """Carries what a task says. From any thread; nothing blocks but `put_chunk`."""

    def log(self, level: str, message: str) -> None:
        """Keep a line with the run."""

    def progress(self, progress: run_pb2.Progress) -> None:
        """Tell how far the attempt is."""

    def put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """Put a chunk into the run's stream; waits while too much is under way."""

    async def aio_put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """Do as `put_chunk`, on any loop."""

    def refresh(self, timeout_ms: int) -> None:
        """Count the attempt's time limits anew."""

    def release_slot(self) -> None:
        """Let others have the attempt's slots."""

    def change_labels(self, changes: dict[str, str]) -> None:
        """Tell of labels that the worker has from now on."""

    def cancel_self(self) -> None:
        """Cancel the run that this is an attempt of."""


class Context:
    """What a task is told about its own run, and what it can say back. Safe in any thread."""

    __slots__ = (
        "_assignment",
        "_cancel_reason",
        "_cancelled",
        "_default_priority",
        "_lifespan",
        "_voice",
        "_worker_id",
        "_worker_labels",
    )

    def __init__(
        self,
        assignment: dispatch_pb2.Assignment,
        worker_id: str,
        worker_labels: WorkerLabels,
        voice: Voice,
        lifespan: Any,
        default_priority: Priority,
    ) -> None:
        """Wrap one attempt. Built by the worker, and by `mock_run`; never by users."""
        self._assignment = assignment
        self._worker_id = worker_id
        self._worker_labels = worker_labels
        self._voice = voice
        self._lifespan = lifespan
        self._default_priority = default_priority
        self._cancelled = assignment.cancel_requested
        self._cancel_reason = ""

    @property
    def task_name(self) -> str:
        """Name of the task that executes."""
        return self._assignment.task_name

    @property
    def workflow_name(self) -> str:
        """Name of the workflow that it belongs to; a standalone task's own name."""
        return self._assignment.spec.workflow_name

    @property
    def workflow_run_id(self) -> str:
        """Id of the run: the same in every attempt, and so the natural idempotency key.

        In a hook the id of the run that it follows.
        """
        return self._assignment.spec.hook.run_id or self._assignment.run_id

    @property
    def task_run_id(self) -> str:
        """Id of this task's part of the run; for a standalone task the run's own, for a hook that of its own run."""
        return self._assignment.run_id

    @property
    def parent_task_run_id(self) -> str | None:
        """Id of the task run that submitted this one; None for a root."""
        return self._assignment.spec.parent_task_run_id or None

    @property
    def worker_id(self) -> str:
        """Id of the worker that executes it."""
        return self._worker_id

    @property
    def worker_labels(self) -> Mapping[str, str]:
        """Labels of that worker as they are now: `upsert_worker_labels` changes them for all of its attempts."""
        return self._worker_labels.now

    def upsert_worker_labels(self, labels: Mapping[str, LabelValue]) -> None:
        """Set labels of that worker, or change them, from now on; those that are not named stay. Returns at once.

        Runs that wait for a worker with such a label are given to it. Attempts that it has go on.

        Args:
            labels: texts or numbers by name, as `app.worker(labels=)` takes them.

        Raises:
            InvalidInput: one of them is out of its range, or the worker would have over 100.

        """
        try:
            changed = self._worker_labels.upsert(labels)
        except (TypeError, ValueError) as error:
            raise InvalidInput(str(error), field="labels") from None
        if changed:
            self._voice.change_labels(changed)

    async def aio_upsert_worker_labels(self, labels: Mapping[str, LabelValue]) -> None:
        """Do as `upsert_worker_labels`."""
        self.upsert_worker_labels(labels)

    @property
    def attempt_number(self) -> int:
        """Which attempt this is, from 1."""
        return self._assignment.attempt

    @property
    def retry_count(self) -> int:
        """How many attempts came before this one."""
        return max(self._assignment.attempt - 1, 0)

    @property
    def max_attempts(self) -> int:
        """Attempts in all that the retry policy allows."""
        return max(self._assignment.max_attempts, 1)

    @property
    def priority(self) -> Priority:
        """Priority of the run: the caller's, else the task's."""
        return Priority(self._assignment.spec.priority or self._default_priority)

    @property
    def additional_metadata(self) -> dict[str, Any]:
        """The caller's own key-value pairs; a copy."""
        text = self._assignment.spec.metadata_json
        return dict(json.loads(text)) if text else {}

    @property
    def workflow_input(self) -> Any:
        """The input as plain JSON values, before validation; a copy."""
        return json.loads(self._assignment.spec.input_json or b"{}")

    @overload
    def task_output(self, task: str) -> Any: ...
    @overload
    def task_output(self, task: OtherTask[OutT_co]) -> OutT_co: ...
    def task_output(self, task: OtherTask[Any] | str) -> Any:
        """Give the output of another task of the workflow: in an on_success hook, of the run that it follows.

        Args:
            task: read by its return annotation; by its name the output comes as plain JSON values.

        Raises:
            NotFound: there is none: it has not ended with one, or this is no hook.
            SerializationError: it does not fit the annotation.

        """
        return output_of(task, self._assignment)

    @property
    def task_run_errors(self) -> dict[str, TaskRunError]:
        """The last failure so far of each task of the run, by task name; empty in a first attempt.

        In an on_failure hook those of the run that it follows too.
        """
        hook = self._assignment.spec.hook
        errors = {name: from_failure(hook.run_id, failure) for name, failure in hook.failures.items()}
        if failures := self._assignment.failures:
            errors[self.task_name] = from_failure(self.task_run_id, failures[-1])
        return errors

    @property
    def previous_errors(self) -> list[TaskRunError]:
        """How each attempt before this one failed, oldest first, without tracebacks."""
        return [from_failure(self.task_run_id, failure) for failure in self._assignment.failures]

    def get_task_run_error(self, task: OtherTask[Any] | str) -> TaskRunError | None:
        """Give the last failure of `task` (a task or its name) in this run, if it failed."""
        return self.task_run_errors.get(name_of(task))

    @property
    def lifespan(self) -> Any:
        """What the worker's lifespan yielded; None where there is none."""
        return self._lifespan

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked to cancel the run: stop soon."""
        return self._cancelled

    @property
    def cancel_reason(self) -> str:
        """Why it was cancelled, for people; "" while it is not, or where nobody said."""
        return self._cancel_reason

    def log(self, message: object, level: str = "INFO") -> None:
        """Keep a line with the run. Returns at once.

        Args:
            message: turned into text; at most 16 KiB of it are kept.
            level: DEBUG, INFO, WARNING, ERROR or CRITICAL.

        """
        name = level.upper()
        if name not in _LEVELS:
            msg = f"level={level!r}: one of {', '.join(_LEVELS)} was expected"
            raise ValueError(msg)
        self._voice.log(name, str(message))

    async def aio_log(self, message: object, level: str = "INFO") -> None:
        """Do as `log`."""
        self.log(message, level)

    def progress(self, done: float, total: float | None = None, message: object = "") -> None:
        """Tell how far the attempt is, for whoever watches the run. Returns at once; as often as you like.

        The newest word counts, sent a few times a second at most, and always before the attempt's end.

        Args:
            done: so much is done, in units of your own; 0 or more.
            total: out of so much, more than 0; None where nobody knows.
            message: for people, turned into text; at most 1,000 characters of it are kept.

        """
        self._voice.progress(progress_message(done, total, message))

    async def aio_progress(self, done: float, total: float | None = None, message: object = "") -> None:
        """Do as `progress`."""
        self.progress(done, total, message)

    def put_stream(self, chunk: str | bytes) -> None:
        """Put data into the run's stream: kept as it is, in order, for whoever subscribes to it.

        Waits while over 256 KiB that this attempt has put are not stored yet. What is put after the attempt's
        end is dropped.

        Args:
            chunk: text or bytes; at most 64 KiB, of text as UTF-8.

        Raises:
            InvalidInput: it is neither.
            PayloadTooLarge: it has more.
            StoreFull: the engine has refused an earlier chunk, and takes no more of this attempt.
            SyncCallOnLoop: this is the worker's own event loop: use `aio_put_stream`.

        """
        self._voice.put_chunk(chunk_message(chunk, self.attempt_number))

    async def aio_put_stream(self, chunk: str | bytes) -> None:
        """Do as `put_stream`."""
        await self._voice.aio_put_chunk(chunk_message(chunk, self.attempt_number))

    def cancel(self) -> None:
        """Cancel this run: it ends CANCELLED whatever the task then returns. Returns at once."""
        self._voice.cancel_self()

    async def aio_cancel(self) -> None:
        """Do as `cancel`."""
        self._voice.cancel_self()

    def refresh_timeout(self, duration: Duration) -> None:
        """Give this attempt more time: from now on it may execute for `duration`, in place of what is left.

        A soft timeout that has not come up yet keeps its distance before the end. An attempt without
        limits is given none. Returns at once.

        Args:
            duration: a timedelta, seconds, "5m" or ISO 8601; more than zero.

        Raises:
            InvalidInput: it is not such a length of time.

        """
        try:
            timeout_ms = to_kept_milliseconds(duration, "duration")
        except (ValueError, TypeError) as error:
            raise InvalidInput(str(error), field="duration") from None
        if not timeout_ms:
            raise InvalidInput("duration=0: a length of time over 0 was expected", field="duration")
        self._voice.refresh(timeout_ms)

    async def aio_refresh_timeout(self, duration: Duration) -> None:
        """Do as `refresh_timeout`."""
        self.refresh_timeout(duration)

    def release_slot(self) -> None:
        """Have this attempt go on without its slots: all that it costs is free for others from now on.

        Everything else stays: its time limits, what cancels it, its concurrency keys, and a retry takes slots again.
        Nothing bounds any more how many attempts go on so. Returns at once; harmless when repeated.
        """
        self._voice.release_slot()

    async def aio_release_slot(self) -> None:
        """Do as `release_slot`."""
        self.release_slot()

    def _mark_cancelled(self, reason: str) -> None:
        self._cancel_reason = reason
        self._cancelled = True


_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
