"""The children of a worker: who executes what, what follows when one dies, when one is replaced.

Stands where a Runner does, in front of the stream. All of it runs on the I/O thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from windlass.exceptions import LifespanFailed
from windlass.worker.outcome import cancelled, released
from windlass.worker.processes.births import Births
from windlass.worker.processes.child_process import State
from windlass.worker.processes.crash import crashed
from windlass.worker.processes.memory import watch_memory
from windlass.worker.processes.nursery_process import NurseryLost
from windlass.worker.processes.sharing import Sharing
from windlass.worker.processes.solo_children import SoloChildren
from windlass.worker.route import route_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from windlass.v1 import dispatch_pb2
    from windlass.worker.attempt import Reports
    from windlass.worker.outcome import Outcome
    from windlass.worker.processes.child_limits import ChildLimits
    from windlass.worker.processes.child_process import ChildProcess
    from windlass.worker.processes.nursery_process import NurseryProcess
    from windlass.worker.processes.served import Served
    from windlass.worker.runner import Runner
    from windlass.worker.setup import Setup

_log = logging.getLogger("windlass.worker")

#: A child that ended sooner than that had little time to do anything useful.
SOON: Final = 1.0
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0
#: So many children that end before they are ready, one after the other, end the worker.
MOST_STILLBORN: Final = 5
#: How long a child may take to close its lifespan and end, once it was told to.
LEAVE_SECONDS: Final = 10.0


class Children:
    """`count` children that share the work, and those that execute one attempt alone."""

    def __init__(
        self,
        nursery: NurseryProcess,
        setup: Setup,
        count: int,
        limits: ChildLimits,
        served: Served,
        reports: Reports,
        on_hopeless: Callable[[str], None],
        embedded: Runner | None = None,
    ) -> None:
        """Start none yet.

        Args:
            nursery: what they are forked from.
            setup: what they are told.
            count: how many share the work; 0 only with `embedded`.
            limits: when one is replaced.
            served: which tasks are executed in a child of their own, and which in one together.
            reports: where outcomes go.
            on_hopeless: told, once, why there will be no more children.
            embedded: executes in this process what needs no child of its own.

        """
        self._changed = asyncio.Event()
        self._births = Births(
            nursery, setup, reports, lambda: self._despair("the process that children are forked from has ended")
        )
        self._setup = setup
        self._count = count
        self._limits = limits
        self._served = served
        self._reports = reports
        self._on_hopeless = on_hopeless
        self._embedded = embedded
        self._solo = SoloChildren(self._births, limits, reports, self._changed)
        self._children: list[ChildProcess] = []
        self._at: dict[str, ChildProcess] = {}
        self._sharing = Sharing(limits.tasks)
        # Go as soon as there is another one in their place.
        self._relieved: list[ChildProcess] = []
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._soon_ended = 0
        self._stillborn = 0
        self._why = ""
        self._closing = False
        self._max_payload = setup.max_payload

    # --- Life ------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Return when all children are ready, or were told to leave meanwhile.

        Raises:
            LifespanFailed: one of them will not be.

        """
        try:
            await self._births.open()
        except NurseryLost as error:
            self._births.close()
            raise LifespanFailed(f"the worker does not start: importing its code failed: {error}") from None
        self._fill()
        if self._limits.memory:
            self._do(watch_memory(self._unrelieved, self._limits.memory, self._replace))
        while not self._closing and self._ready < self._count:
            self._changed.clear()
            await self._changed.wait()
            if self._why:
                self._closing = True
                self._births.close()
                raise LifespanFailed(self._why)

    def give_up(self) -> None:
        """Break off `open`: the worker was told to stop."""
        self._closing = True
        self._changed.set()

    async def renew(self, nursery: NurseryProcess, served: Served, grace: float) -> None:
        """Replace all of them, one by one, as others with newer code become ready.

        Args:
            nursery: what those are forked from.
            served: as at the start.
            grace: seconds that what executes in the former ones may take to finish; then it goes back to its queue.

        """
        await self._births.renew(nursery)
        self._served = served
        self._soon_ended = self._stillborn = 0
        for child in list(self._children):
            (self._retire if child.state is State.STARTING else self._relieve)(child)
        for child in self._solo.all:
            self._solo.retire(child)
        self._fill()
        self._do(self._hand_back_former(grace))

    async def _hand_back_former(self, grace: float) -> None:
        while any(child in self._relieved for child in self._children):
            self._changed.clear()
            await self._changed.wait()
        _log.info("the new code is served")
        await asyncio.sleep(grace)
        for child in [*self._children, *self._solo.all]:
            if child.state is State.RETIRING and self._births.is_former(child) and child.holds:
                _log.info("%d attempts in former code go back to their queue", len(child.holds))
                held, why = list(child.holds.values()), "its code has changed"
                self._reports.finished([released(each.lease_id, each.run_id, why) for each in held])
                self.stop([each.lease_id for each in held], why)

    async def settle(self, seconds: float) -> None:
        """Have all leave: they get `seconds` for what was stopped, and then time for their lifespan."""
        self._closing = True
        self._sharing.clear()
        for child in self._children:
            if child.state is not State.LEAVING:
                child.leave()
        self._solo.close()
        try:
            async with asyncio.timeout(seconds + LEAVE_SECONDS):
                while self._children or self._solo.all:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            left = [*self._children, *self._solo.all]
            _log.warning("%d children did not leave when they were told to: they are killed", len(left))
        for task in list(self._tasks):
            task.cancel()
        self._births.close()

    # --- What a stream drives --------------------------------------------------------------------

    @property
    def max_payload(self) -> int:
        """Largest output, in bytes."""
        return self._max_payload

    @max_payload.setter
    def max_payload(self, value: int) -> None:
        if value == self._max_payload:
            return
        self._max_payload = value
        for child in [*self._children, *self._solo.all]:
            child.limit(value)
        if self._embedded is not None:
            self._embedded.max_payload = value

    def start(self, assignments: list[dispatch_pb2.Assignment]) -> None:
        """Execute these: in order, but for those that are executed alone."""
        shared: list[dispatch_pb2.Assignment] = []
        for each in assignments:
            if each.isolated or route_of(each) in self._served.alone:
                self._solo.start(each)
            else:
                shared.append(each)
        if self._embedded is not None:
            self._embedded.start(shared)
        elif shared:
            self._sharing.add(shared)
            self._share_out()

    def cancel(self, lease_ids: list[str], reason: str, grace: float) -> None:
        """Turn is_cancelled true; after `grace` seconds stop what still executes."""
        for child, leases in self._by_child(lease_ids).items():
            child.cancel(leases, reason, grace)
        if waiting := self._sharing.take(lease_ids):
            self._reports.finished([cancelled(each.lease_id, each.run_id) for each in waiting])
        self._solo.cancel(lease_ids, reason, grace)
        if self._embedded is not None:
            self._embedded.cancel(lease_ids, reason, grace)

    def stop(self, lease_ids: list[str], reason: str) -> None:
        """Stop these now; nothing is reported of them."""
        for child, leases in self._by_child(lease_ids).items():
            child.stop(leases, reason)
            for lease_id in leases:
                del self._at[lease_id]
            self._check_done(child)
        self._sharing.take(lease_ids)
        self._solo.stop(lease_ids)
        if self._embedded is not None:
            self._embedded.stop(lease_ids, reason)

    def note_labels(self, changes: dict[str, str]) -> None:
        """Let all of them know these labels, and those that are born later."""
        self._setup.labels.note(changes)
        for child in [*self._children, *self._solo.all]:
            child.note_labels(changes)

    def settled(self, lease_id: str, size: int, *, refused: bool) -> None:
        """Pass it on to whoever executes the attempt."""
        for each in (self._at.get(lease_id), self._solo, self._embedded):
            if each is not None:
                each.settled(lease_id, size, refused=refused)

    def drain(self) -> None:
        """No more will come: batches begin without."""
        for child in self._children:
            if child.state in {State.READY, State.RETIRING}:
                child.drain()
        if self._embedded is not None:
            self._embedded.drain()

    # --- What children do ------------------------------------------------------------------------

    def on_ready(self, child: ChildProcess) -> None:
        """Give it work; let the one go whose place it takes."""
        self._changed.set()
        if child.state is not State.STARTING:
            return
        self._stillborn = 0
        child.state = State.READY
        if self._max_payload != self._setup.max_payload:
            child.limit(self._max_payload)
        while self._relieved and self._ready > self._count:
            self._retire(self._relieved.pop(0))
        self._share_out()

    def on_unfit(self, child: ChildProcess, why: str) -> None:
        """Let it go; it counts as one that ended before it was ready."""
        _log.error("%s", why)
        self._why = why
        self._changed.set()
        child.leave()

    def on_outcomes(self, child: ChildProcess, outcomes: list[Outcome]) -> None:
        """Pass on what became of attempts."""
        for outcome in outcomes:
            self._at.pop(outcome.lease_id, None)
        self._reports.finished(outcomes)
        self._check_done(child)

    def on_refreshed(self, child: ChildProcess, lease_id: str, timeout_ms: int) -> None:
        """Nobody here looks at the time: those that share a child are stopped by their own runner."""

    def on_lost(self, child: ChildProcess) -> None:
        """Replace it."""
        self._retire(child)
        self._fill()

    def on_gone(self, child: ChildProcess) -> None:
        """Say what became of what it held, and replace it."""
        self._children.remove(child)
        if child in self._relieved:
            self._relieved.remove(child)
        self._changed.set()
        for lease_id in child.holds:
            self._at.pop(lease_id, None)
        if child.holds:
            _log.error("child %d %s, with %d attempts in it", child.pid, child.ended_by, len(child.holds))
            self._reports.finished(list(crashed(child)))
        elif not child.told_to_leave:
            _log.error("child %d %s", child.pid, child.ended_by)
        if child.was_ready:
            self._soon_ended = self._soon_ended + 1 if time.monotonic() - child.born_at < SOON else 0
        else:
            self._soon_ended += 1
            self._stillborn += 1
            self._why = self._why or f"the worker does not start: a child {child.ended_by} before it was ready"
            if self._stillborn >= MOST_STILLBORN and not self._ready:
                self._despair(self._why)
        self._fill()

    # --- How many, and which ---------------------------------------------------------------------

    @property
    def _ready(self) -> int:
        return sum(child.state is State.READY for child in self._children)

    def _fill(self) -> None:
        """See to it that as many are there, or on their way, as there have to be."""
        if self._closing:
            return
        there = sum(child.state in {State.STARTING, State.READY} for child in self._children)
        for _ in range(self._count + len(self._relieved) - there - self._under_way):
            self._under_way += 1
            self._do(self._bear())

    async def _bear(self) -> None:
        try:
            if self._soon_ended > 1:
                await asyncio.sleep(min(FIRST_DELAY * 2 ** (self._soon_ended - 2), LONGEST_DELAY))
            child = await self._births.child(self, solo=False)
        except NurseryLost:
            return
        finally:
            self._under_way -= 1
        self._children.append(child)
        if self._closing:
            child.leave()
        elif self._births.is_former(child):
            self._retire(child)
            self._fill()

    def _relieve(self, child: ChildProcess) -> None:
        """Replace it: it works on until the other one is ready."""
        if child.state is State.READY and child not in self._relieved:
            self._relieved.append(child)
            self._fill()

    def _retire(self, child: ChildProcess) -> None:
        """Give it no more work; it leaves when it has none."""
        if child in self._relieved:
            self._relieved.remove(child)
        if child.state in {State.STARTING, State.READY}:
            child.state = State.RETIRING
            self._check_done(child)

    def _check_done(self, child: ChildProcess) -> None:
        if child.state is State.RETIRING and not child.holds:
            child.leave()

    def _unrelieved(self) -> list[ChildProcess]:
        return [each for each in (*self._children, *self._solo.all) if each not in self._relieved]

    def _replace(self, child: ChildProcess) -> None:
        (self._solo.retire if child.solo else self._relieve)(child)

    def _despair(self, why: str) -> None:
        if not self._closing:
            self._on_hopeless(why)

    # --- Who executes what -----------------------------------------------------------------------

    def _share_out(self) -> None:
        for child, share in self._sharing.share_out(self._children, self._served.together).items():
            self._at.update((each.lease_id, child) for each in share)
            child.start(share)
            if self._limits.tasks:
                self._check_age(child, self._limits.tasks)

    def _check_age(self, child: ChildProcess, most: int) -> None:
        if child.given >= most - max(1, most // 10):  # soon
            self._relieve(child)
        if child.given >= most:
            self._retire(child)

    def _by_child(self, lease_ids: list[str]) -> dict[ChildProcess, list[str]]:
        found: dict[ChildProcess, list[str]] = {}
        for lease_id in lease_ids:
            if (child := self._at.get(lease_id)) is not None:
                found.setdefault(child, []).append(lease_id)
        return found

    def _do(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
