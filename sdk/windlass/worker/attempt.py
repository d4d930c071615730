"""Owns one attempt while it executes: its context, and what it runs on. Decides nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from windlass.context import Context
from windlass.exceptions import SoftTimeoutExceeded
from windlass.transport.io_thread import check_may_block
from windlass.v1 import run_pb2
from windlass.worker.failure import MESSAGE_BYTES, cut_end
from windlass.worker.outcome import LoggedLine, PutChunk, ToldProgress
from windlass.worker.outgoing_stream import OutgoingStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.task import Task
    from windlass.v1 import dispatch_pb2
    from windlass.worker.interruptible import Interruptible
    from windlass.worker.outcome import Outcome
    from windlass.worker.threads import PoolThread
    from windlass.worker.time_limits import TimeLimits
    from windlass.worker_labels import WorkerLabels


class Reports(Protocol):
    """Where attempts report to. Every method may be called from any thread and never blocks."""

    def finished(self, outcomes: list[Outcome]) -> None:
        """Take outcomes."""

    def log(self, entry: LoggedLine) -> None:
        """Take a line."""

    def chunk(self, entry: PutChunk) -> None:
        """Take a chunk of an attempt's stream."""

    def progress(self, entry: ToldProgress) -> None:
        """Take how far an attempt is; of each only the newest counts."""

    def refreshed(self, lease_id: str, run_id: str, timeout_ms: int) -> None:
        """Tell the engine that the attempt may execute this long from now on, in milliseconds."""

    def slot_released(self, lease_id: str, run_id: str) -> None:
        """Tell the engine that the attempt takes no slots any more."""

    def labels_changed(self, changes: dict[str, str]) -> None:
        """Tell the engine, and all that executes for this worker, of labels that it has from now on."""

    def cancel_run(self, lease_id: str, run_id: str) -> None:
        """Ask the engine to cancel the run, before the outcome of this lease is told."""


# A task may begin to stream in two threads at once.
_making: Final = threading.Lock()


class Attempt:
    """One attempt under way, and the voice of its task."""

    __slots__ = (
        "_break_off",
        "_give_way",
        "_reports",
        "answer",
        "asyncio_task",
        "context",
        "has_slot",
        "input_json",
        "interruptible",
        "lease_id",
        "limits",
        "number",
        "run_id",
        "soft_timeout_ms",
        "spec",
        "stream",
        "task",
        "thread",
        "timed_out",
        "timeout_ms",
    )

    def __init__(
        self,
        assignment: dispatch_pb2.Assignment,
        task: Task,
        worker_id: str,
        labels: WorkerLabels,
        reports: Reports,
        give_way: Callable[[Attempt], None],
        lifespan: Any = None,
    ) -> None:
        """Prepare to execute `assignment`; starts nothing. `give_way` is told once, when it gives up its slot."""
        self.lease_id = assignment.lease_id
        self.run_id = assignment.run_id
        self.number = assignment.attempt
        self.timeout_ms = assignment.execution_timeout_ms
        self.soft_timeout_ms = assignment.soft_timeout_ms
        self.spec = assignment.spec
        self.input_json = assignment.spec.input_json
        self.task = task
        self.asyncio_task: asyncio.Task[None] | None = None
        self.thread: PoolThread[Attempt] | None = None
        self.limits: TimeLimits | None = None  # while it has any
        self.interruptible: Interruptible | None = None  # what runs on the loop, where it has a soft timeout
        self.stream: OutgoingStream | None = None  # once it has put something there
        self.timed_out = False
        self.has_slot = True
        self._give_way = give_way
        # Executes a sync task for the middleware that waits for it on the loop.
        self.answer: Callable[[], None] | None = None
        self._reports = reports
        self._break_off: Callable[[], object] | None = None
        self.context = Context(assignment, worker_id, labels, self, lifespan, task.workflow.default_priority)

    def log(self, level: str, message: str) -> None:
        """Keep a line with the run. From any thread."""
        self._reports.log(LoggedLine(self.lease_id, self.run_id, self.line(level, message)))

    def line(self, level: str, message: str) -> run_pb2.LogLine:
        """Write a line."""
        return run_pb2.LogLine(
            logged_at_ms=time.time_ns() // 1_000_000,
            level=level,
            message=cut_end(message, MESSAGE_BYTES),
            attempt=self.number,
        )

    def progress(self, progress: run_pb2.Progress) -> None:
        """Tell how far it is. From any thread."""
        self._reports.progress(ToldProgress(self.lease_id, self.run_id, progress))

    def put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """Put a chunk into its run's stream; waits while too much is under way. From any thread."""
        check_may_block("ctx.put_stream", "ctx.aio_put_stream")
        stream = self._outgoing()
        while (room := stream.put(chunk)) is not None:
            on_own_thread = self.thread is not None and self.thread.ident == threading.get_ident()
            if on_own_thread:
                self.waits_for(room.cancel)
            try:
                room.result()
            finally:
                if on_own_thread:
                    self.waits_for(None)

    async def aio_put_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        """Do as `put_chunk`, on any loop."""
        stream = self._outgoing()
        while (room := stream.put(chunk)) is not None:
            await asyncio.wrap_future(room)

    def cancel_self(self) -> None:
        """Cancel the run that this is an attempt of. From any thread."""
        self.mark_cancelled("cancelled by the task itself")
        self._reports.cancel_run(self.lease_id, self.run_id)

    def refresh(self, timeout_ms: int) -> None:
        """Count its time limits anew. From any thread."""
        if self.limits is None:
            return
        self.limits.refresh(timeout_ms / 1000)
        if self.timeout_ms:
            self.timeout_ms = timeout_ms
            self._reports.refreshed(self.lease_id, self.run_id, timeout_ms)

    def release_slot(self) -> None:
        """Let others have its slot. From any thread."""
        if self.has_slot:
            self.has_slot = False
            self._give_way(self)
            self._reports.slot_released(self.lease_id, self.run_id)

    def change_labels(self, changes: dict[str, str]) -> None:
        """Tell of labels that its worker has from now on. From any thread."""
        self._reports.labels_changed(changes)

    def tell(self) -> None:
        """Raise SoftTimeoutExceeded in the task, where it stands: in its thread or on the loop. On the loop."""
        if self.thread is not None and self.thread.tell(self, SoftTimeoutExceeded):
            if self._break_off is not None:
                self._break_off()
        elif self.interruptible is not None:
            self.interruptible.interrupt()

    def waits_for(self, break_off: Callable[[], object] | None) -> None:
        """Note how to end what its thread waits for on the loop; None: it waits no more."""
        self._break_off = break_off

    def interrupt(self) -> None:
        """Stop a sync task, if a thread still executes it. Settle what became of it before."""
        if self.thread is not None and self.thread.interrupt(self) and (break_off := self._break_off) is not None:
            break_off()

    def _outgoing(self) -> OutgoingStream:
        with _making:
            if self.stream is None:
                self.stream = OutgoingStream(self._send_chunk)
            return self.stream

    def _send_chunk(self, chunk: run_pb2.StreamChunk) -> None:
        self._reports.chunk(PutChunk(self.lease_id, self.run_id, chunk))

    def mark_cancelled(self, reason: str) -> None:
        """Turn ctx.is_cancelled true."""
        self.context._mark_cancelled(reason)  # noqa: SLF001 - the worker's part of Context
