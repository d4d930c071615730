"""Children that execute one attempt at a time: it can be killed, and whatever kills it is its own doing.

Owns which of them gets an attempt, and the kill at its limit. On the I/O thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from windlass.v1 import run_pb2
from windlass.worker.failure import timed_out
from windlass.worker.outcome import FailedAttempt, cancelled
from windlass.worker.processes.child_process import State
from windlass.worker.processes.crash import crashed
from windlass.worker.processes.nursery_process import NurseryLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.v1 import dispatch_pb2
    from windlass.worker.attempt import Reports
    from windlass.worker.outcome import Outcome
    from windlass.worker.processes.births import Births
    from windlass.worker.processes.child_limits import ChildLimits
    from windlass.worker.processes.child_process import ChildProcess

_log = logging.getLogger("windlass.worker")

#: At its limit the child itself stops an attempt, and says where it was; it is killed this much later, or
#: once it has said so.
KILL_AFTER: Final = 0.25
#: So many are kept when there is nothing for them to do.
IDLE: Final = os.cpu_count() or 1


class SoloChildren:
    """As many as there are attempts that need one."""

    def __init__(self, births: Births, limits: ChildLimits, reports: Reports, changed: asyncio.Event) -> None:
        """Start none yet; `changed` is set when one has ended."""
        self._births = births
        self._limits = limits
        self._changed = changed
        self._reports = reports
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._waiting: deque[dispatch_pb2.Assignment] = deque()
        self._at: dict[str, ChildProcess] = {}
        self._kills: dict[ChildProcess, asyncio.TimerHandle] = {}
        self._births_under_way: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def all(self) -> list[ChildProcess]:
        """Those that have not ended."""
        return list(self._children)

    def start(self, assignment: dispatch_pb2.Assignment) -> None:
        """Execute it alone."""
        if self._idle:
            self._give(self._idle.pop(), assignment)
            return
        self._waiting.append(assignment)
        self._spawn()

    def cancel(self, lease_ids: Iterable[str], reason: str, grace: float) -> None:
        """Tell those that are here; what has not ended `grace` seconds later is killed."""
        for lease_id in lease_ids:
            child = self._at.get(lease_id)
            if child is not None:
                child.cancel([lease_id], reason, grace)
                failure = run_pb2.Failure(
                    type="TaskInterrupted", message="cancelled, and did not end within the grace: it was killed"
                )
                self._kill_after(child, grace, child.holds[lease_id], failure)
            elif (waiting := self._forget_waiting(lease_id)) is not None:
                self._reports.finished([cancelled(lease_id, waiting.run_id)])

    def stop(self, lease_ids: Iterable[str]) -> None:
        """Kill what executes these; nothing is reported of them."""
        for lease_id in lease_ids:
            self._forget_waiting(lease_id)
            if (child := self._at.pop(lease_id, None)) is not None:
                child.holds.pop(lease_id, None)
                self._kill(child)

    def settled(self, lease_id: str, size: int, *, refused: bool) -> None:
        """Pass it on, if the attempt is here."""
        if (child := self._at.get(lease_id)) is not None:
            child.settled(lease_id, size, refused=refused)

    def retire(self, child: ChildProcess) -> None:
        """Let it go as soon as it is free."""
        if child in self._idle:
            self._idle.remove(child)
            child.leave()
        elif child.state in {State.STARTING, State.READY}:
            child.state = State.RETIRING

    def close(self) -> None:
        """Let all go."""
        self._closing = True
        self._waiting.clear()
        self._idle.clear()
        for child in self._children:
            if child.state is not State.LEAVING:
                child.leave()

    # --- What children do ------------------------------------------------------------------------

    def on_ready(self, child: ChildProcess) -> None:
        """Give it what waits."""
        if child.state is State.STARTING:
            child.state = State.READY
        self._next(child)

    def on_unfit(self, child: ChildProcess, why: str) -> None:
        """Fail one attempt that waits for it: another child would not do better."""
        self._fail_waiting(why)
        child.leave()

    def on_outcomes(self, child: ChildProcess, outcomes: list[Outcome]) -> None:
        """Pass on what became of its attempt; kill what may still execute it."""
        self._reports.finished(outcomes)
        for outcome in outcomes:
            self._at.pop(outcome.lease_id, None)
            cut_short = isinstance(outcome, FailedAttempt) and outcome.failure.type in _CUT_SHORT
            if cut_short:
                self._kill(child)
                return
        self._next(child)

    def on_refreshed(self, child: ChildProcess, lease_id: str, timeout_ms: int) -> None:
        """Kill it later."""
        if (assignment := child.holds.get(lease_id)) is not None:
            self._kill_after(child, timeout_ms / 1000, assignment, timed_out(timeout_ms, ""))

    def on_lost(self, child: ChildProcess) -> None:
        """Give it no more work."""
        self.retire(child)

    def on_gone(self, child: ChildProcess) -> None:
        """Charge its attempt, unless it was killed for it; replace it where work waits."""
        self._forget_kill(child)
        self._changed.set()
        self._children.discard(child)
        if child in self._idle:
            self._idle.remove(child)
        for lease_id in child.holds:
            self._at.pop(lease_id, None)
        if child.holds:
            _log.error("child %d %s; it executed %s", child.pid, child.ended_by, _names(child))
            self._reports.finished(list(crashed(child)))
        elif not child.was_ready and not child.told_to_leave:
            self._fail_waiting(f"a child {child.ended_by} before it was ready")
        if self._waiting and not self._closing:
            self._spawn()

    # --- Inside ----------------------------------------------------------------------------------

    def _fail_waiting(self, why: str) -> None:
        _log.error("%s", why)
        if self._waiting:
            waiting = self._waiting.popleft()
            failure = run_pb2.Failure(type="LifespanFailed", message=why)
            self._reports.finished([FailedAttempt(waiting.lease_id, waiting.run_id, failure)])

    def _spawn(self) -> None:
        task = asyncio.get_running_loop().create_task(self._bear())
        self._births_under_way.add(task)
        task.add_done_callback(self._births_under_way.discard)

    async def _bear(self) -> None:
        try:
            child = await self._births.child(self, solo=True)
        except NurseryLost:
            return  # whoever owns the nursery knows
        self._children.add(child)
        if self._closing:
            child.leave()

    def _next(self, child: ChildProcess) -> None:
        self._forget_kill(child)
        if self._limits.tasks and child.given >= self._limits.tasks:
            self.retire(child)
        if child.state is State.READY and self._waiting:
            self._give(child, self._waiting.popleft())
        elif child.state is State.READY and len(self._idle) < IDLE:
            self._idle.append(child)
        elif child.state is not State.LEAVING:
            child.leave()

    def _give(self, child: ChildProcess, assignment: dispatch_pb2.Assignment) -> None:
        self._at[assignment.lease_id] = child
        child.start([assignment])
        if limit := assignment.execution_timeout_ms:
            self._kill_after(child, limit / 1000, assignment, timed_out(limit, ""))

    def _kill_after(
        self, child: ChildProcess, seconds: float, assignment: dispatch_pb2.Assignment, failure: run_pb2.Failure
    ) -> None:
        self._forget_kill(child)
        loop = asyncio.get_running_loop()
        self._kills[child] = loop.call_later(seconds + KILL_AFTER, self._cut_short, child, assignment, failure)

    def _cut_short(self, child: ChildProcess, assignment: dispatch_pb2.Assignment, failure: run_pb2.Failure) -> None:
        """Kill it at its limit: it holds the GIL, or does not end when it is told to."""
        if child.holds.pop(assignment.lease_id, None) is not None:
            self._at.pop(assignment.lease_id, None)
            _log.warning("task %s (run %s) was killed: %s", assignment.task_name, assignment.run_id, failure.message)
            self._reports.finished([FailedAttempt(assignment.lease_id, assignment.run_id, failure)])
        self._kill(child)

    def _kill(self, child: ChildProcess) -> None:
        self._forget_kill(child)
        child.state = State.LEAVING
        child.kill()

    def _forget_kill(self, child: ChildProcess) -> None:
        if (kill := self._kills.pop(child, None)) is not None:
            kill.cancel()

    def _forget_waiting(self, lease_id: str) -> dispatch_pb2.Assignment | None:
        for waiting in self._waiting:
            if waiting.lease_id == lease_id:
                self._waiting.remove(waiting)
                return waiting
        return None


#: How a child's own runner says that it has given up on a thread, which may execute on.
_CUT_SHORT: Final = frozenset({"ExecutionTimeout", "TaskInterrupted"})


def _names(child: ChildProcess) -> str:
    return ", ".join(sorted({each.task_name for each in child.holds.values()}))
