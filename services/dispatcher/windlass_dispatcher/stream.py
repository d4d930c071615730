"""Owns one worker's connection: a reader, a writer, and what waits to be written.

Everything that has gathered since the last write goes with the next one, in as few messages as
there are kinds of it.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

import grpc

from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass_core.domain.errors import EngineError, ProtocolError, SessionReplaced
from windlass_dispatcher.attempt import Attempt
from windlass_dispatcher.session import Effect, WorkerSession

Response = dispatch_service_pb2.ConnectResponse
_EOF: Any = grpc.aio.EOF
Context = grpc.aio.ServicerContext[dispatch_service_pb2.ConnectRequest, dispatch_service_pb2.ConnectResponse]

# A worker that leaves so many messages unread is cut off.
MAX_BACKLOG = 20_000
# A timer that is later than this says that this process has stood still.
_STOOD_STILL_S = 1.0
# No work waits for an acknowledgement, only the worker's memory: so many, or so old, go out together.
ACKS_AT_ONCE = 200
ACK_DELAY_S = 0.02
_ASSIGNMENT_BYTES_PER_MESSAGE = 2 * 1024 * 1024


class Effects(Protocol):
    """What carries out the session's effects: the dispatcher."""

    async def carry_out(self, stream: "Stream", effect: Effect) -> None:
        """Does it, or puts it where it will be done."""
        ...


class Stream:
    """One connection of one worker."""

    def __init__(self, context: Context, session: WorkerSession, session_id: str, namespace: str) -> None:
        self.session = session
        self.session_id = session_id
        self.namespace = namespace
        # What the inbox had for it before its Welcome was on its way; None: it is.
        self.held_back: list[list[Any]] | None = None
        # It did not accept in time: its unaccepted work is given to others.
        self.deaf = False
        self._context = context
        self._out: deque[Any] = deque()
        self._acks: list[dispatch_pb2.Ack] = []
        self._acks_due = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._assignments: list[dispatch_pb2.Assignment] = []
        self._ready = asyncio.Event()
        self._ended: EngineError | None = None
        self._deaf_timer: asyncio.TimerHandle | None = None

    @property
    def worker_id(self) -> str:
        """The worker's id; empty before its Hello."""
        return self.session.worker_id

    @property
    def is_ending(self) -> bool:
        """Whether it takes nothing more; what was queued before may still be on its way."""
        return self._ended is not None

    def send(self, **message: Any) -> None:
        """Queues a message, after the assignments that were queued before it."""
        if self.is_ending:
            return
        self._seal_assignments()
        self._out.append(message)
        self._wake()

    def acknowledge(self, ack: dispatch_pb2.Ack) -> None:
        """Queues the answer for one attempt."""
        self._acks.append(ack)
        if len(self._acks) >= ACKS_AT_ONCE:
            self._send_acks()
        elif self._ack_timer is None:
            loop = asyncio.get_running_loop()
            self._ack_timer = loop.call_later(ACK_DELAY_S, self._send_acks)

    def assign(self, attempts: list[Attempt], assignments: list[dispatch_pb2.Assignment]) -> None:
        """Queues work."""
        if self.is_ending:
            return  # the worker's next Hello has them delivered
        loop = asyncio.get_running_loop()
        self.session.deliver(attempts, loop.time())
        self._assignments += assignments
        if self._deaf_timer is None and (deadline := self.session.next_deadline()) is not None:
            self._check_deaf_at(deadline)
        self._wake()

    def end(self, error: EngineError) -> None:
        """Ends the stream with an error, after what is queued."""
        if self._ended is None:
            self._ended = error
        self._send_acks()

    async def run(self, effects: Effects) -> None:
        """Reads and writes until either side ends. Raises the EngineError that ended it."""
        reader = asyncio.create_task(self._read(effects))
        writer = asyncio.create_task(self._write())
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            for timer in (self._deaf_timer, self._ack_timer):
                if timer is not None:
                    timer.cancel()

    async def _read(self, effects: Effects) -> None:
        while (message := await self._context.read()) is not _EOF:
            for effect in self.session.receive(message):
                await effects.carry_out(self, effect)

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            self._seal_assignments()
            while self._out or self._acks_due:
                if self._out:
                    await self._context.write(Response(**self._out.popleft()))
                if self._acks_due:
                    self._acks_due = False
                    acks, self._acks = self._acks, []
                    await self._context.write(Response(acks=dispatch_pb2.Acks(acks=acks)))
                self._seal_assignments()
            if self._ended is not None:
                raise self._ended

    def _send_acks(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        self._acks_due = bool(self._acks)
        self._ready.set()

    def _seal_assignments(self) -> None:
        """Turns gathered assignments into messages, split by bytes."""
        batch: list[dispatch_pb2.Assignment] = []
        room = _ASSIGNMENT_BYTES_PER_MESSAGE
        for assignment in self._assignments:
            room -= assignment.ByteSize()
            if room < 0 and batch:
                self._out.append({"assignments": dispatch_pb2.Assignments(assignments=batch)})
                batch, room = [], _ASSIGNMENT_BYTES_PER_MESSAGE
            batch.append(assignment)
        if batch:
            self._out.append({"assignments": dispatch_pb2.Assignments(assignments=batch)})
        self._assignments.clear()

    def _wake(self) -> None:
        if len(self._out) > MAX_BACKLOG:
            self.end(ProtocolError("the worker does not read what it is sent"))
        self._ready.set()

    def _check_deaf_at(self, time: float) -> None:
        self._deaf_timer = asyncio.get_running_loop().call_at(time, self._check_deaf, time)

    def _check_deaf(self, due: float) -> None:
        self._deaf_timer = None
        now = asyncio.get_running_loop().time()
        deadline = self.session.next_deadline()
        if deadline is None:
            return
        if deadline > now:
            self._check_deaf_at(deadline)
        elif now - due > _STOOD_STILL_S:
            # Not the worker: what it has said may be here unread.
            self._check_deaf_at(now + self.session.accept_timeout_s)
        else:
            self.deaf = True
            self.end(SessionReplaced("assignments were not accepted in time: connect again"))
