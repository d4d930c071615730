"""The life of a child process: executes what its supervisor sends, until told to leave.

Its main thread runs the loop of async tasks; its I/O thread has the pipe, so that a blocked loop still
hears that an attempt is cancelled. Leases, the stream and the engine are the supervisor's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING, assert_never

from windlass.exceptions import LifespanFailed
from windlass.transport.io_thread import io_thread, new_loop
from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass.worker.execution import Execution
from windlass.worker.loop import close_loop
from windlass.worker.newest import Newest
from windlass.worker.outbox import Outbox
from windlass.worker.processes.frames import Kind
from windlass.worker.processes.pipe import Pipe
from windlass.worker.setup import Setup

if TYPE_CHECKING:
    import socket

    from windlass.worker.outcome import LoggedLine, Outcome, PutChunk, ToldProgress
    from windlass.worker.processes.crew import Crew
    from windlass.worker.runner import Runner

_log = logging.getLogger("windlass.worker")


def run_child(end: socket.socket, crew: Crew) -> None:
    """Serve the supervisor at the other end of the pipe; returns when told to leave.

    What a stray asyncio task of the user's raises to end its loop, SystemExit, is raised on: the process
    ends by it, and the supervisor sees what it had in hand.
    """
    loop = new_loop()
    supervisor = SupervisorLink()
    io_thread().run(supervisor.open(end)).result()
    loop.run_until_complete(_serve(supervisor, crew, loop))
    close_loop(loop)
    io_thread().run(supervisor.close()).result()


async def _serve(supervisor: SupervisorLink, crew: Crew, loop: asyncio.AbstractEventLoop) -> None:
    setup = await asyncio.wrap_future(supervisor.setup)
    leave = asyncio.wrap_future(supervisor.told_to_leave)
    execution = Execution(crew, loop)
    leave.add_done_callback(lambda _: execution.give_up())
    try:
        supervisor.ready(await execution.open(setup, supervisor, supervisor.lost))
    except LifespanFailed as error:
        supervisor.unfit(str(error))
    await leave
    await execution.close()


class SupervisorLink:
    """The child's end: where its attempts report to. Frames are read on the I/O thread."""

    def __init__(self) -> None:
        """Prepare; `open` connects."""
        self._io = io_thread()
        self._pipe = Pipe(self)
        self._outbox = Outbox(accept_delay=0)
        self._newest = Newest()
        self._flushing = False
        self._runner: Runner | None = None
        self._leaving = False
        self._closed = asyncio.Event()
        self.setup: Future[Setup] = Future()
        self.told_to_leave: Future[None] = Future()

    async def open(self, end: socket.socket) -> None:
        """Begin."""
        await self._pipe.open(end)

    async def close(self) -> None:
        """Send what is left, and end."""
        self._send()
        self._leaving = True
        self._pipe.finish()
        await self._closed.wait()

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
        if self._newest.put(entry):
            self._io.post(self._flush)

    def refreshed(self, lease_id: str, run_id: str, timeout_ms: int) -> None:
        """Tell of an attempt that may execute this long from now on."""
        self._io.post(self._pipe.write, Kind.REFRESHED, json.dumps([lease_id, run_id, timeout_ms]).encode())

    def slot_released(self, lease_id: str, run_id: str) -> None:
        """Tell of an attempt that takes no slots any more."""
        self._io.post(self._pipe.write, Kind.SLOT_RELEASED, json.dumps([lease_id, run_id]).encode())

    def labels_changed(self, changes: dict[str, str]) -> None:
        """Tell of labels that the worker has from now on."""
        self._io.post(self._pipe.write, Kind.LABELS, json.dumps(changes).encode())

    def cancel_run(self, lease_id: str, run_id: str) -> None:
        """Ask the supervisor to have the run cancelled."""
        self._io.post(self._pipe.write, Kind.CANCEL_RUN, json.dumps([lease_id, run_id]).encode())

    # --- From the loop of the tasks --------------------------------------------------------------

    def ready(self, runner: Runner) -> None:
        """Ask for work for `runner`."""
        self._runner = runner
        self._io.post(self._pipe.write, Kind.READY)

    def unfit(self, why: str) -> None:
        """Tell that this child will never be ready."""
        self._io.post(self._pipe.write, Kind.UNFIT, why.encode())

    def lost(self) -> None:
        """Tell that the lifespan has ended by itself."""
        self._io.post(self._pipe.write, Kind.LOST)

    # --- On the I/O thread -----------------------------------------------------------------------

    def on_frame(self, kind: Kind, body: bytes) -> None:
        """Do what the supervisor says."""
        match kind:
            case Kind.SETUP:
                self.setup.set_result(Setup.from_json(body))
            case Kind.START:
                self._required.start(list(dispatch_pb2.Assignments.FromString(body).assignments))
            case Kind.CANCEL:
                self._required.cancel(*json.loads(body))
            case Kind.STOP:
                self._required.stop(*json.loads(body))
            case Kind.LIMIT:
                self._required.max_payload = json.loads(body)
            case Kind.LABELS:
                self.setup.result().labels.note(json.loads(body))
            case Kind.DRAIN:
                self._required.drain()
            case Kind.SETTLED:
                lease_id, size, refused = json.loads(body)
                self._required.settled(lease_id, size, refused=refused)
            case Kind.LEAVE:
                self.told_to_leave.set_result(None)
            case (
                Kind.READY | Kind.UNFIT | Kind.TOLD | Kind.REFRESHED | Kind.SLOT_RELEASED | Kind.CANCEL_RUN | Kind.LOST
            ):
                _log.error("a supervisor does not say %s", kind.name)
            case _ as unreachable:
                assert_never(unreachable)

    def on_room(self) -> None:
        """Send what has gathered while the supervisor did not read."""
        self._flush()

    def on_end(self) -> None:
        """End with the supervisor: whatever executes here is no longer anybody's."""
        if not self._leaving:
            os._exit(1)
        self._closed.set()

    @property
    def _required(self) -> Runner:
        assert self._runner is not None  # noqa: S101 - the supervisor says nothing to a child that is not ready
        return self._runner

    def _on_finished(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._outbox.add_outcome(outcome)
        self._flush_soon()

    def _on_log(self, entry: LoggedLine) -> None:
        self._outbox.add_log(entry)
        self._flush_soon()

    def _on_chunk(self, entry: PutChunk) -> None:
        self._outbox.add_chunk(entry)
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Let what else is handed over in this turn travel with it."""
        if not self._flushing:
            self._flushing = True
            self._io.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._pipe.is_full:
            self._send()

    def _send(self) -> None:
        if told := self._newest.take():  # the supervisor's outbox sees to it that it is not told too often
            request = dispatch_service_pb2.ConnectRequest()
            for lease_id, run_id, progress in told:
                request.progresses.progresses.add(lease_id=lease_id, run_id=run_id, progress=progress)
            self._pipe.write(Kind.TOLD, request.SerializeToString())
        for request in self._outbox.take(0):
            self._pipe.write(Kind.TOLD, request.SerializeToString())
