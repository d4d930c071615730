"""One child as its supervisor sees it: what it holds, what it says, how it ended. On the I/O thread.

Decides nothing: who gets which attempt, and what follows from a death, is `children`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Final, Protocol

from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass.worker.outcome import Completion, FailedAttempt, LoggedLine, PutChunk, ToldProgress
from windlass.worker.processes.frames import Kind
from windlass.worker.processes.pipe import Pipe

if TYPE_CHECKING:
    import socket

    from windlass.worker.attempt import Reports
    from windlass.worker.outcome import Outcome
    from windlass.worker.setup import Setup

#: The pipe's end and the process's come at the same time, but for what a task has left behind: a process
#: of its own that holds the pipe, or a pipe that it has closed.
_BOTH_SECONDS: Final = 0.5


class State(enum.Enum):
    """How far a child is."""

    STARTING = enum.auto()  # opens its lifespan
    READY = enum.auto()
    RETIRING = enum.auto()  # gets no new work
    LEAVING = enum.auto()  # told to end; holds nothing
    GONE = enum.auto()


class ChildUser(Protocol):
    """Who is told of what a child does."""

    def on_ready(self, child: ChildProcess) -> None:
        """Its lifespan is open."""

    def on_unfit(self, child: ChildProcess, why: str) -> None:
        """It will never be ready."""

    def on_outcomes(self, child: ChildProcess, outcomes: list[Outcome]) -> None:
        """Attempts have ended; it no longer holds them."""

    def on_refreshed(self, child: ChildProcess, lease_id: str, timeout_ms: int) -> None:
        """An attempt may execute this long from now on."""

    def on_lost(self, child: ChildProcess) -> None:
        """Its lifespan has ended by itself."""

    def on_gone(self, child: ChildProcess) -> None:
        """It has ended; what it `holds` it did not finish."""


class ChildProcess:
    """One child, from its birth to its end."""

    def __init__(self, pid: int, user: ChildUser, reports: Reports, *, solo: bool) -> None:
        """Take a child that was born just now; `solo`: it executes one attempt at a time."""
        self.pid: Final = pid
        self.solo: Final = solo
        self.born_at: Final = time.monotonic()
        self.state = State.STARTING
        #: Attempts that it has and has not told the end of, by lease.
        self.holds: dict[str, dispatch_pb2.Assignment] = {}
        #: Those of them that take no slots any more.
        self.slotless: set[str] = set()
        #: How many attempts it was given so far.
        self.given = 0
        self.was_ready = False
        self.told_to_leave = False
        self._user = user
        self._reports = reports
        self._pipe = Pipe(self)
        self._status: int | None = None
        self._pipe_ended = False
        self._patience: asyncio.TimerHandle | None = None

    async def open(self, end: socket.socket, setup: Setup) -> None:
        """Tell it who it is."""
        await self._pipe.open(end)
        self._pipe.write(Kind.SETUP, setup.to_json())

    # --- What it is told -------------------------------------------------------------------------

    def start(self, assignments: list[dispatch_pb2.Assignment]) -> None:
        """Give it these attempts."""
        self.given += len(assignments)
        self.holds.update((each.lease_id, each) for each in assignments)
        self._pipe.write(Kind.START, dispatch_pb2.Assignments(assignments=assignments).SerializeToString())

    def cancel(self, lease_ids: list[str], reason: str, grace: float) -> None:
        """Pass a cancellation on."""
        self._pipe.write(Kind.CANCEL, json.dumps([lease_ids, reason, grace]).encode())

    def stop(self, lease_ids: list[str], reason: str) -> None:
        """Have it stop these; it holds them no longer, and says nothing more of them."""
        for lease_id in lease_ids:
            del self.holds[lease_id]
        self.slotless.difference_update(lease_ids)
        self._pipe.write(Kind.STOP, json.dumps([lease_ids, reason]).encode())

    def settled(self, lease_id: str, size: int, *, refused: bool) -> None:
        """Tell it what became of chunks of a stream."""
        self._pipe.write(Kind.SETTLED, json.dumps([lease_id, size, refused]).encode())

    def limit(self, max_payload: int) -> None:
        """Tell it the largest output."""
        self._pipe.write(Kind.LIMIT, json.dumps(max_payload).encode())

    def note_labels(self, changes: dict[str, str]) -> None:
        """Tell it of other labels of its worker; also before it is ready."""
        self._pipe.write(Kind.LABELS, json.dumps(changes).encode())

    def drain(self) -> None:
        """Tell it that no more will come."""
        self._pipe.write(Kind.DRAIN)

    def leave(self) -> None:
        """Have it end by itself."""
        if not self.told_to_leave:
            self.state = State.LEAVING
            self.told_to_leave = True
            self._pipe.write(Kind.LEAVE)

    def kill(self) -> None:
        """End it as it stands."""
        self.told_to_leave = True
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    # --- What is heard of it ---------------------------------------------------------------------

    @property
    def ended_by(self) -> str:
        """How its process ended, for people."""
        if self._status is None:
            return "lost its pipe"
        code = os.waitstatus_to_exitcode(self._status)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def on_ended(self, status: int) -> None:
        """Note that the process has ended, with what waitpid says."""
        self._status = status
        self._check_gone()

    def on_end(self) -> None:
        """Note that nothing more comes through the pipe."""
        self._pipe_ended = True
        self._check_gone()

    def on_room(self) -> None:
        """Nothing waits for room: what a child is told is bounded by its slots."""

    def on_frame(self, kind: Kind, body: bytes) -> None:
        """Take what it says; what is none of a child's words ends it."""
        match kind:
            case Kind.TOLD:
                self._on_told(dispatch_service_pb2.ConnectRequest.FromString(body))
            case Kind.READY:
                self.was_ready = True
                self._user.on_ready(self)
            case Kind.UNFIT:
                self._user.on_unfit(self, body.decode())
            case Kind.REFRESHED:
                lease_id, run_id, timeout_ms = json.loads(body)
                self._reports.refreshed(lease_id, run_id, timeout_ms)
                self._user.on_refreshed(self, lease_id, timeout_ms)
            case Kind.SLOT_RELEASED:
                lease_id, run_id = json.loads(body)
                if lease_id in self.holds:
                    self.slotless.add(lease_id)
                self._reports.slot_released(lease_id, run_id)
            case Kind.LABELS:
                self._reports.labels_changed(json.loads(body))
            case Kind.CANCEL_RUN:
                self._reports.cancel_run(*json.loads(body))
            case Kind.LOST:
                self._user.on_lost(self)
            case _:
                self._pipe.close()

    def _on_told(self, request: dispatch_service_pb2.ConnectRequest) -> None:
        for log in request.logs.logs:
            for line in log.lines:
                self._reports.log(LoggedLine(log.lease_id, log.run_id, line))
        for put in request.chunks.chunks:
            for chunk in put.chunks:
                self._reports.chunk(PutChunk(put.lease_id, put.run_id, chunk))
        for told in request.progresses.progresses:
            self._reports.progress(ToldProgress(told.lease_id, told.run_id, told.progress))
        if request.HasField("report"):
            report = request.report
            outcomes: list[Outcome] = [
                Completion(each.lease_id, each.run_id, each.output_json) for each in report.completed
            ]
            outcomes += [FailedAttempt(each.lease_id, each.run_id, each.failure) for each in report.failed]
            self._user.on_outcomes(self, self._given_back(outcomes))

    def _given_back(self, outcomes: list[Outcome]) -> list[Outcome]:
        self.slotless.difference_update(each.lease_id for each in outcomes)
        return [each for each in outcomes if self.holds.pop(each.lease_id, None) is not None]

    def _check_gone(self) -> None:
        if self.state is State.GONE:
            return
        if self._pipe_ended and self._status is not None:
            self._go()
        elif self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_BOTH_SECONDS, self._go)

    def _go(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self.state is State.GONE:
            return
        self.state = State.GONE
        if self._status is None:
            self.kill()
        self._pipe.close()
        self._user.on_gone(self)
