"""Owns one worker's connection: a reader, a writer, and what waits to be written.

Everything that has gathered since the last write goes with the next one, in as few messages as
there are kinds of it. What waits is bounded in bytes: past them assignments are kept without what the
store has of them too. A worker that reads nothing is deaf: it is cut off, and its work given to others.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass_core.domain.errors import EngineError, ProtocolError, SessionReplaced, SlowReader
from windlass_core.rpc.outlet import CONFIRM_S, Outlet
from windlass_dispatcher.attempt import Attempt
from windlass_dispatcher.session import Effect, WorkerSession

if TYPE_CHECKING:
    from windlass_core.store.workers import Enrolment

Response = dispatch_service_pb2.ConnectResponse
_EOF: Any = grpc.aio.EOF
Context = grpc.aio.ServicerContext[dispatch_service_pb2.ConnectRequest, dispatch_service_pb2.ConnectResponse]

# A stream without a Hello takes the place of a worker's.
HELLO_WITHIN_S = 10.0
# No work waits for an acknowledgement, only the worker's memory: so many, or so old, go out together.
ACKS_AT_ONCE = 200
ACK_DELAY_S = 0.02
_ACK_BYTES = 40
_ASSIGNMENT_BYTES_PER_MESSAGE = 2 * 1024 * 1024
_ASSIGNMENTS_PER_MESSAGE = 1_000


class Effects(Protocol):
    """What carries out the session's effects: the dispatcher."""

    async def carry_out(self, stream: "Stream", effect: Effect) -> None:
        """Does it, or puts it where it will be done."""
        ...

    async def room(self) -> None:
        """Returns once there is room for what the next message may bring."""
        ...

    async def prepare(self, stream: "Stream", attempts: list[Attempt]) -> list[dispatch_pb2.Assignment]:
        """The messages, with what the store alone still has. Raises StoreUnavailable."""
        ...


class Stream:
    """One connection of one worker."""

    def __init__(
        self, context: Context, session: WorkerSession, session_id: str, namespace: str, most_bytes: int
    ) -> None:
        self.session = session
        # So much of work waits to be written, and so much of answers besides the acknowledgements.
        self.work_bytes = 0
        self.answer_bytes = 0
        self._most_bytes = most_bytes
        self.session_id = session_id
        self.namespace = namespace
        # What the store knows of the worker by this connection, from its Welcome on.
        self.enrolment: Enrolment | None = None
        # What the inbox had for it before its Welcome was on its way; None: it is.
        self.held_back: list[list[Any]] | None = None
        # It did not accept in time: its unaccepted work is given to others.
        self.deaf = False
        self._context = context
        # Work, and messages with their sizes.
        self._out: deque[Attempt | tuple[dict[str, Any], int]] = deque()
        self._outlet: Outlet[Response] | None = None
        self._acks: list[dispatch_pb2.Ack] = []
        self._chunk_acks: list[dispatch_pb2.ChunksAck] = []
        self._acks_due = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._ended: EngineError | None = None
        self._deaf_timer: asyncio.TimerHandle | None = None
        # What it says next is not read before there is room for it.
        self._held_up = False

    @property
    def worker_id(self) -> str:
        """The worker's id; empty before its Hello."""
        return self.session.worker_id

    @property
    def is_ending(self) -> bool:
        """Whether it takes nothing more; what was queued before may still be on its way."""
        return self._ended is not None

    def send(self, **message: Any) -> None:
        """Queues a message, after the work that was queued before it."""
        if self.is_ending:
            return
        size = sum(part.ByteSize() for part in message.values())
        self.answer_bytes += size
        self._out.append((message, size))
        self._ready.set()
        self._check_room()

    def acknowledge(self, ack: dispatch_pb2.Ack) -> None:
        """Queues the answer for one attempt."""
        self._acks.append(ack)
        if len(self._acks) >= ACKS_AT_ONCE:
            self._send_acks()
            self._check_room()
        else:
            self._send_acks_soon()

    def acknowledge_chunks(self, ack: dispatch_pb2.ChunksAck) -> None:
        """Queues the answer for chunks of one attempt."""
        self._chunk_acks.append(ack)
        self._send_acks_soon()
        self._check_room()

    def assign(self, attempts: list[Attempt]) -> None:
        """Queues work."""
        if self.is_ending:
            return  # the worker's next Hello has them delivered
        for attempt in attempts:
            if self.work_bytes + attempt.kept_bytes > self._most_bytes:
                attempt.leave_in_store()
            self.work_bytes += attempt.kept_bytes
        self._out.extend(attempts)
        self._ready.set()

    def unaccepted(self) -> list[Attempt]:
        """What the worker has not accepted, sent or not."""
        return self.session.unaccepted() + [item for item in self._out if isinstance(item, Attempt)]

    def end(self, error: EngineError) -> None:
        """Ends the stream with an error, after what is queued."""
        if self._ended is None:
            self._ended = error
        if self._outlet is not None:
            self._outlet.hurry()
        self._send_acks()

    async def run(self, effects: Effects) -> None:
        """Reads and writes until either side ends. Raises the EngineError that ended it."""
        outlet = self._outlet = Outlet(self._context, self.session.accept_timeout_s)
        reader = asyncio.create_task(self._read(effects))
        writer = asyncio.create_task(self._write(effects, outlet))
        ends: set[asyncio.Future[None]] = {reader, writer, outlet.blocked}
        patience = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self._check_greeted)
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if outlet.blocked in done:
                self.deaf = self.deaf or self._ended is None
                self._ended = self._ended or SlowReader("the worker does not read what it is sent: connect again")
                raise self._ended
            for task in done:
                task.result()
        finally:
            outlet.close()
            patience.cancel()
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
            self._held_up = True
            await effects.room()
            self._held_up = False

    async def _write(self, effects: Effects, outlet: Outlet[Response]) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._out or self._acks_due:
                if self._out:
                    await outlet.write(await self._next(effects))
                if self._acks_due:
                    self._acks_due = False
                    acks = dispatch_pb2.Acks(acks=self._acks, chunks=self._chunk_acks)
                    self._acks, self._chunk_acks = [], []
                    await outlet.write(Response(acks=acks))
            if self._ended is not None:
                raise self._ended

    async def _next(self, effects: Effects) -> Response:
        item = self._out[0]
        if not isinstance(item, Attempt):
            message, size = item
            self._out.popleft()
            self.answer_bytes -= size
            return Response(**message)
        attempts = self._take_attempts()
        assignments = await effects.prepare(self, attempts)
        self.session.deliver(attempts, asyncio.get_running_loop().time())
        if self._deaf_timer is None and (deadline := self.session.next_deadline()) is not None:
            self._check_deaf_at(deadline)
        return Response(assignments=dispatch_pb2.Assignments(assignments=assignments))

    def _take_attempts(self) -> list[Attempt]:
        """As many of the next attempts as go into one message."""
        taken: list[Attempt] = []
        room = _ASSIGNMENT_BYTES_PER_MESSAGE
        out = self._out
        while out and isinstance(attempt := out[0], Attempt) and len(taken) < _ASSIGNMENTS_PER_MESSAGE:
            room -= attempt.wire_bytes
            if room < 0 and taken:
                break
            self.work_bytes -= attempt.kept_bytes
            taken.append(attempt)
            out.popleft()
        return taken

    def _send_acks_soon(self) -> None:
        if self._ack_timer is None:
            loop = asyncio.get_running_loop()
            self._ack_timer = loop.call_later(ACK_DELAY_S, self._send_acks)

    def _send_acks(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        self._acks_due = bool(self._acks or self._chunk_acks)
        self._ready.set()

    def _check_room(self) -> None:
        """Answers to a worker that asks and does not read: it has to ask again."""
        if self.answer_bytes + (len(self._acks) + len(self._chunk_acks)) * _ACK_BYTES > self._most_bytes:
            self.end(SlowReader("the worker does not read what it is sent: connect again"))

    def _check_greeted(self) -> None:
        if not self.worker_id:
            self.end(ProtocolError(f"expected Hello within {HELLO_WITHIN_S:g} s"))

    def _check_deaf_at(self, due: float, *, confirming: bool = False) -> None:
        self._deaf_timer = asyncio.get_running_loop().call_at(due, self._check_deaf, due, confirming)

    def _check_deaf(self, due: float, confirming: bool) -> None:
        self._deaf_timer = None
        now = asyncio.get_running_loop().time()
        deadline = self.session.next_deadline()
        if deadline is None:
            return
        if deadline > now:
            self._check_deaf_at(deadline)
        elif not confirming or now - due > CONFIRM_S or self._held_up:
            # It may have been this process that stood still: what the worker has said may be here unread.
            self._check_deaf_at(now + CONFIRM_S, confirming=True)
        else:
            self.deaf = True
            self.end(SessionReplaced("assignments were not accepted in time: connect again"))
