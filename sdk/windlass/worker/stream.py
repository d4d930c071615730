"""Keeps a worker connected: finds a dispatcher, serves one connection after another, for ever.

Owns reconnecting with back-off, timers, and the order of a drain. All of it runs on the I/O thread
except the methods of `Reports`, which take from any thread what attempts have to say.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final, assert_never

import grpc

from windlass.exceptions import (
    ApiUnreachable,
    EngineBusy,
    NoDispatcher,
    ServerFault,
    StoreFull,
    StoreUnavailable,
    Unauthorized,
    WindlassError,
)
from windlass.transport.io_thread import io_thread
from windlass.transport.rpc_status import from_rpc_error
from windlass.v1 import dispatch_pb2
from windlass.worker.connection import Connection, ConnectionLost
from windlass.worker.dispatchers import Dispatchers
from windlass.worker.effects import Cancel, Reconnect, Refused, Settled, Start, Stop, Welcomed
from windlass.worker.newest import Newest
from windlass.worker.session import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from windlass.config import ClientConfig
    from windlass.v1 import workflow_pb2
    from windlass.worker.effects import Effect
    from windlass.worker.outcome import LoggedLine, Outcome, PutChunk, ToldProgress
    from windlass.worker.session import WorkerSession
    from windlass.worker.staff import Staff

_log = logging.getLogger("windlass.worker")

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 2.0
# A connection that held this long was a good one: the next failure starts with a short delay.
GOOD_AFTER: Final = 5.0
# An unchanged complaint is repeated this often.
COMPLAIN_EVERY: Final = 30.0
# How long a drain waits for the last outcomes to be acknowledged.
ACK_SECONDS: Final = 5.0
CANCEL_ATTEMPTS: Final = 5
# The loop's timers have a resolution of one millisecond: never wake before there is work.
TIMER_GRAIN: Final = 0.001

# A token that is refused will be refused again, also where an earlier one, or this one, was good.
_REFUSED: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
# Said before the first welcome, these will be said again: trying on would hide a mistake.
_HOPELESS: Final = _REFUSED | {grpc.StatusCode.INVALID_ARGUMENT}

_PASSING: Final = (ApiUnreachable, EngineBusy, NoDispatcher, ServerFault, StoreFull, StoreUnavailable)


class Stream:
    """The worker's side of the engine. Made on any thread; `run` runs on the I/O thread."""

    def __init__(self, session: WorkerSession, config: ClientConfig, on_ready: Callable[[], None]) -> None:
        """Connect `session`; `on_ready` is called, on the I/O thread, at each welcome."""
        self._io = io_thread()
        self._session = session
        self._config = config
        self._on_ready = on_ready
        self._dispatchers = Dispatchers(config)
        self._connection: Connection | None = None
        self._staff: Staff | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0  # kept here: uvloop gives a handle without when() where it is due at once
        self._progress = asyncio.Event()
        self._closing = asyncio.Event()
        self._was_welcomed = False
        self._told = Newest()
        self._withheld: dict[str, list[Outcome]] = {}
        self._cancelling: set[asyncio.Task[None]] = set()
        self._complained: dict[str, float] = {}

    # --- Reports: from any thread ----------------------------------------------------------------

    def finished(self, outcomes: list[Outcome]) -> None:
        """Take outcomes of attempts."""
        self._io.post(self._on_finished, outcomes)

    def log(self, entry: LoggedLine) -> None:
        """Take a line that an attempt logged."""
        self._io.post(self._on_log, entry)

    def chunk(self, entry: PutChunk) -> None:
        """Take a chunk of an attempt's stream."""
        self._io.post(self._on_chunk, entry)

    def progress(self, entry: ToldProgress) -> None:
        """Take how far an attempt is."""
        if self._told.put(entry):
            self._io.post(self._on_progress)

    def refreshed(self, lease_id: str, run_id: str, timeout_ms: int) -> None:
        """Tell the engine of an attempt that may execute this long from now on."""
        self._io.post(self._tell, self._session.refreshed, lease_id, run_id, timeout_ms)

    def slot_released(self, lease_id: str, run_id: str) -> None:
        """Tell the engine of an attempt that takes no slots any more."""
        self._io.post(self._tell, self._session.slot_released, lease_id, run_id)

    def labels_changed(self, changes: dict[str, str]) -> None:
        """Tell the engine, and all that executes, of labels that the worker has from now on."""
        self._io.post(self._on_labels_changed, changes)

    def cancel_run(self, lease_id: str, run_id: str) -> None:
        """Ask the api to cancel the run; the lease's outcome is withheld until it has answered."""
        self._io.post(self._on_cancel_run, lease_id, run_id)

    # --- Life: on the I/O thread -----------------------------------------------------------------

    async def run(self, staff: Staff) -> None:
        """Stay connected until `drain` has ended.

        Raises:
            Unauthorized: the worker's token is refused; one that has ended is tried once more.
            WindlassError: the first dispatcher reached refuses this worker, and would again.

        """
        self._staff = staff
        # A process that ends without having stopped its worker still hands its work back.
        self._io.at_exit(self._drain_at_exit)
        delay = FIRST_DELAY
        try:
            while not self._closing.is_set():
                began = time.monotonic()
                try:
                    await self._connect_somewhere()
                except WindlassError as error:
                    if self._is_hopeless(error):
                        _log.error("the engine refuses this worker: %s", error)
                        raise
                    self._complain(str(error))
                if time.monotonic() - began > GOOD_AFTER:
                    delay = FIRST_DELAY
                await self._pause(random.uniform(0, delay))
                delay = min(delay * 2, LONGEST_DELAY)
        finally:
            self._disarm()
            self._io.forget_at_exit(self._drain_at_exit)

    async def drain(self, grace: float) -> None:
        """Take no new work, let what runs finish within `grace` seconds, hand back the rest, leave.

        Repeating it with a shorter grace cuts the first one short.
        """
        session = self._session
        session.drain()
        self._after_change()
        if self._staff is not None:
            self._staff.drain()
        await self._until(lambda: not session.executing, grace)
        if session.executing:
            _log.info("the grace is over: %d attempts go back to their queue", session.executing)
        # Before `run` has begun there is nobody who executes, and nothing that they could be told.
        if released := session.release("the worker has left"):
            self._apply(released)
        await self._until(lambda: session.holds_nothing, ACK_SECONDS)
        if session.unacknowledged:
            _log.warning(
                "leaving with %d outcomes unacknowledged: those attempts run again once the session has expired",
                session.unacknowledged,
            )
        self._closing.set()
        self._progress.set()
        if self._connection is not None:
            self._connection.leave("the worker has left")

    async def redefine(self, definitions: Iterable[workflow_pb2.WorkflowDefinition]) -> None:
        """Serve other workflows from now on: connects anew, and goes on with what it has."""
        self._apply(self._session.redefine(definitions))

    async def _drain_at_exit(self) -> None:
        await self.drain(0.0)

    async def _connect_somewhere(self) -> None:
        """Serve one connection that works; returns when it is over, or when none could be made."""
        for address in await self._addresses():
            if self._closing.is_set():
                return
            connection = Connection(address, self._config, self._session, self._apply)
            self._connection = connection
            why = ""
            try:
                await connection.serve()
            except (ConnectionLost, ProtocolError) as error:
                why = str(error)
            except grpc.aio.AioRpcError as error:
                # A stream that ends because its token did is opened anew: there may be another token.
                if error.code() in (_REFUSED if self._was_welcomed else _HOPELESS) and not connection.welcomed:
                    raise from_rpc_error(error, address) from None
                why = f"{error.code().name}: {error.details()}"
            finally:
                self._connection = None
            if self._closing.is_set():
                return
            self._dispatchers.avoid(address)
            if connection.welcomed:
                self._lost(address, why)
                return
            self._complain(f"the dispatcher at {address} can't be reached ({why}){self._way_round()}; trying on")

    def _way_round(self) -> str:
        """Name the setting for a worker to which the dispatchers' own addresses mean nothing."""
        return "" if self._config.dispatcher_address else "; has it another address here? WINDLASS_DISPATCHER_ADDRESS"

    async def _addresses(self) -> list[str]:
        """Ask for dispatchers; none once the worker is leaving, whether or not the api ever answers."""
        asking = asyncio.ensure_future(self._dispatchers.addresses())
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({asking, closing}, return_when=asyncio.FIRST_COMPLETED)
            return await asking if asking.done() else []
        finally:
            asking.cancel()
            closing.cancel()
            await asyncio.gather(asking, closing, return_exceptions=True)

    # --- Events: on the I/O thread ---------------------------------------------------------------

    def _on_finished(self, outcomes: list[Outcome]) -> None:
        if self._withheld:
            for outcome in outcomes:
                if outcome.lease_id in self._withheld:
                    self._withheld[outcome.lease_id].append(outcome)
            outcomes = [each for each in outcomes if each.lease_id not in self._withheld]
        self._session.finished(outcomes)
        self._after_change()

    def _on_log(self, entry: LoggedLine) -> None:
        self._session.log(entry)
        if self._session.take_dropped_log_lines():
            self._complain("no dispatcher takes log lines: the oldest are being dropped")
        if self._connection is not None:
            self._connection.wake()

    def _on_chunk(self, entry: PutChunk) -> None:
        self._session.chunk(entry)
        self._after_change()

    def _on_progress(self) -> None:
        for entry in self._told.take():
            self._session.progress(entry)
        self._arm()

    def _tell(self, say: Callable[..., None], *words: str | int) -> None:
        say(*words)
        self._after_change()

    def _on_labels_changed(self, changes: dict[str, str]) -> None:
        if not self._session.upsert_labels(changes):  # each child has seen only its own
            self._complain(f"labels {', '.join(changes)} are left out: the worker's children have set too many")
            return
        if self._staff is not None:
            self._staff.note_labels(changes)
        self._after_change()

    def _on_cancel_run(self, lease_id: str, run_id: str) -> None:
        if lease_id not in self._withheld:
            self._withheld[lease_id] = []
            task = asyncio.get_running_loop().create_task(self._cancel_run(lease_id, run_id))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    async def _cancel_run(self, lease_id: str, run_id: str) -> None:
        try:
            for attempt in range(CANCEL_ATTEMPTS):
                try:
                    await self._dispatchers.cancel_run(run_id, "cancelled by the task itself")
                except grpc.aio.AioRpcError as error:
                    self._complain(f"run {run_id} could not be cancelled: {error.details()}")
                    await self._pause(random.uniform(0, FIRST_DELAY * 2**attempt))
                else:
                    return
        finally:
            self._session.finished(self._withheld.pop(lease_id))
            self._after_change()

    def _apply(self, effects: list[Effect]) -> None:
        staff = self._staff
        assert staff is not None  # noqa: S101 - run() sets it before anything is received
        for effect in effects:
            match effect:
                case Start(assignments):
                    staff.start(assignments)
                case Cancel(lease_ids, reason, grace):
                    staff.cancel(lease_ids, reason, grace)
                case Stop(lease_ids, reason):
                    _log.warning("%d attempts were stopped: %s", len(lease_ids), reason)
                    staff.stop(lease_ids, reason)
                case Refused(run_id, outcome):
                    name = dispatch_pb2.ReportOutcome.Name(outcome)
                    _log.warning("the outcome of run %s was not taken: %s", run_id, name)
                case Settled(lease_id, size, refused):
                    if refused:
                        self._complain("the store is full: what tasks stream is being cut off")
                    staff.settled(lease_id, size, refused=refused)
                case Reconnect(reason, elsewhere):
                    self._leave(reason, elsewhere)
                case Welcomed(max_payload_bytes):
                    staff.max_payload = max_payload_bytes or staff.max_payload
                    self._welcomed()
                case _ as unreachable:
                    assert_never(unreachable)
        self._after_change()

    def _leave(self, reason: str, elsewhere: bool) -> None:
        if self._connection is not None:
            if elsewhere:
                self._dispatchers.avoid(self._connection.address)
            self._connection.leave(reason)

    def _welcomed(self) -> None:
        self._was_welcomed = True
        if self._connection is not None:
            self._connection.welcomed = True
        self._complained.clear()
        held = self._session.executing
        if self._connection is not None:
            went_on = f", {held} attempts went on" if held else ""
            _log.info("connected to the dispatcher at %s%s", self._connection.address, went_on)
        self._on_ready()

    def _lost(self, address: str, why: str) -> None:
        executing = self._session.executing
        going_on = f", {executing} attempts go on" if executing else ""
        _log.warning("lost the dispatcher at %s (%s)%s; reconnecting", address, why, going_on)

    def _after_change(self) -> None:
        self._progress.set()
        if self._connection is not None:
            self._connection.wake()
        self._arm()

    # --- Timers ----------------------------------------------------------------------------------

    def _arm(self) -> None:
        seconds = self._session.next_tick_in()
        if seconds is None:
            return
        loop = self._io.loop
        due = loop.time() + seconds + TIMER_GRAIN
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer, self._timer_due = loop.call_at(due, self._on_timer), due

    def _on_timer(self) -> None:
        self._timer = None
        self._apply(self._session.tick())

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _pause(self, seconds: float) -> None:
        await self._until(self._closing.is_set, seconds)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition that `_after_change` announces, `seconds` at the most."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return

    # --- Telling people --------------------------------------------------------------------------

    def _is_hopeless(self, error: WindlassError) -> bool:
        if isinstance(error, Unauthorized):
            return True
        return not self._was_welcomed and not isinstance(error, _PASSING)

    def _complain(self, text: str) -> None:
        now = time.monotonic()
        if now - self._complained.get(text, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
            self._complained[text] = now
            _log.warning("%s", text)
