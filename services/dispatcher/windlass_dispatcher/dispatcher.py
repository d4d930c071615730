"""Owns the dispatcher's loops: workers' streams, the inbox, and what passes between them."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog
from typing_extensions import override

from windlass.v1 import dispatch_pb2, dispatch_service_pb2_grpc
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import EngineError, SessionReplaced, ShuttingDown, StoreUnavailable, TooMany
from windlass_core.domain.limits import MAX_PAYLOAD_BYTES
from windlass_core.domain.names import flow_task
from windlass_core.pump import Hold, Pump
from windlass_core.randomness import mint_id
from windlass_core.rpc.guard import caller
from windlass_core.rpc.places import Places
from windlass_core.rpc.status import abort, refuse
from windlass_core.service import Service
from windlass_core.settings import DispatcherSettings
from windlass_core.store.scripts import unpack
from windlass_dispatcher.attempt import LATEST_FAILURES, Attempt, to_assignment, to_attempt
from windlass_dispatcher.enrolment import enrol, relabel, worker_id_taken
from windlass_dispatcher.reports import Reports
from windlass_dispatcher.session import (
    Accept,
    Beat,
    Complete,
    Drain,
    Effect,
    Enrol,
    Fail,
    KeepChunks,
    KeepLogs,
    KeepProgress,
    Refresh,
    Relabel,
    ReleaseSlots,
    WorkerSession,
)
from windlass_dispatcher.stream import Context, Stream

_log = structlog.get_logger(__name__)

INBOX_AT_ONCE = 200
# What a heartbeat takes up while it waits for the store, and each lease that it names.
_BEAT_BYTES = 500
_LEASE_BYTES = 100


class Dispatcher(Service, dispatch_service_pb2_grpc.DispatchServiceServicer):
    """One replica, with the workers that chose it."""

    name = "dispatcher"
    grpc_services = ("windlass.v1.DispatchService",)

    def __init__(self, settings: DispatcherSettings) -> None:
        super().__init__(settings, settings.listen, settings.http_listen)
        self._dispatcher_settings = settings
        self._ttl_ms = int(settings.session_ttl.total_seconds() * 1000)
        self._definitions = DefinitionCache(self.shard.definitions)
        # What workers have said, and the store does not know yet.
        self._unstored = Hold(settings.max_unstored_bytes)
        self._reports = self._make_reports()
        self._streams: dict[str, Stream] = {}
        most = settings.max_streams
        self._places = Places(most, f"this dispatcher has {most} workers already (WINDLASS_MAX_STREAMS)")
        self._beats: Pump[tuple[Stream, Beat]] = Pump(
            "heartbeat", self._beat_workers, most=200, size=_beat_bytes, hold=self._unstored
        )
        dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server(self, self.server.grpc)

    def _make_reports(self) -> Reports:
        return Reports(self.shard, self._definitions, self._unstored, self.observation.metrics)

    @property
    @override
    def load(self) -> int:
        """See Service."""
        return len(self._streams)

    @override
    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """See Service."""
        return [self._inbox, self._beats.run, *self._reports.loops()]

    @override
    async def leave(self) -> None:
        """Sends the workers elsewhere; what they have reported is recorded first."""
        for stream in list(self._streams.values()):
            stream.send(goodbye=dispatch_pb2.Goodbye(reason="this dispatcher is shutting down"))
            stream.end(ShuttingDown("this dispatcher is shutting down: connect to another"))
        await self.within_grace(self._reports.drained())

    @override
    async def Connect(  # type: ignore[override]  # it reads and writes by itself
        self, request_iterator: Any, context: Context
    ) -> None:
        """See dispatch_service.proto."""
        del request_iterator  # read through the context
        settings = self._dispatcher_settings
        session = WorkerSession(settings.accept_timeout.total_seconds())
        stream = Stream(context, session, mint_id(), caller().namespace, settings.max_unread_bytes)
        refused: EngineError | None = None
        if self._leaving.is_set():
            leaving = ShuttingDown("this dispatcher is shutting down: connect to another")
            await refuse(context, leaving, reads=True)
        try:
            with self._places.one():
                await stream.run(self)
        except TooMany as full:
            await refuse(context, full, reads=True)
        except EngineError as error:
            if stream.worker_id and not isinstance(error, ShuttingDown):
                _log.warning("stream ended", worker=stream.worker_id, reason=str(error))
            refused = error
        finally:
            # The worker may take its time to read how its stream ended: its work does not wait for that.
            gone = asyncio.create_task(self._gone(stream))
            try:
                if refused is not None:
                    await abort(context, refused)
            finally:
                await asyncio.shield(gone)

    async def prepare(self, stream: Stream, attempts: list[Attempt]) -> list[dispatch_pb2.Assignment]:
        """See stream.Effects."""
        large = [attempt.run_id for attempt in attempts if attempt.spec is None]
        specs = iter(await self.shard.runs.specs(large) if large else ())
        failed = [attempt.run_id for attempt in attempts if attempt.failures is None]
        failures = iter(await self.shard.runs.latest_failures(failed, LATEST_FAILURES) if failed else ())
        assignments = []
        for attempt in attempts:
            task = flow_task(attempt.flow)
            definition = await self._definitions.version(stream.namespace, task, attempt.version)
            spec = next(specs) if attempt.spec is None else attempt.spec
            history = next(failures) if attempt.failures is None else attempt.failures
            assignments.append(to_assignment(attempt, spec, history, definition))
            attempt.failures = []  # they have served
        return assignments

    async def carry_out(self, stream: Stream, effect: Effect) -> None:
        """See stream.Effects."""
        match effect:
            case (
                Accept() | Refresh() | ReleaseSlots() | Complete() | Fail() | KeepLogs() | KeepProgress() | KeepChunks()
            ):
                self._reports.take(stream, effect)
            case Beat():
                # The session of one that never reads how its stream ended runs out.
                if not stream.is_ending:
                    self._beats.put((stream, effect))
            case Drain():
                await self.shard.workers.leave([(stream.worker_id, stream.session_id, "draining")])
            case Relabel(labels):
                assert stream.enrolment is not None  # noqa: S101 - Hello comes first
                stream.enrolment = await relabel(stream.enrolment, labels, self.shard.workers)
            case Enrol(hello):
                await self._enrol(stream, hello)

    async def room(self) -> None:
        """See stream.Effects."""
        await self._unstored.room()

    async def _enrol(self, stream: Stream, hello: dispatch_pb2.Hello) -> None:
        replaced = self._streams.get(hello.worker_id)
        if replaced is not None and replaced.namespace != stream.namespace:
            raise worker_id_taken()
        # Known here before the store knows it: from then on the inbox may hold work for it, which
        # is held back until the Welcome has gone out.
        self._streams[hello.worker_id] = stream
        if replaced is not None:
            replaced.end(SessionReplaced("the worker has connected again"))
        stream.held_back = []
        stream.enrolment, enrolled = await enrol(
            hello,
            namespace=stream.namespace,
            session_id=stream.session_id,
            dispatcher=self.inc,
            ttl_ms=self._ttl_ms,
            definitions=self._definitions,
            workers=self.shard.workers,
        )
        settings = self._dispatcher_settings
        stream.send(
            welcome=dispatch_pb2.Welcome(
                session_id=stream.session_id,
                heartbeat_interval_ms=_ms(settings.heartbeat_interval),
                session_ttl_ms=self._ttl_ms,
                max_payload_bytes=MAX_PAYLOAD_BYTES,
                accept_timeout_ms=_ms(settings.accept_timeout),
                lost_lease_ids=enrolled.lost,
                cancel_grace_ms=_ms(settings.cancel_grace),
            )
        )
        stream.assign([to_attempt(entry) for entry in enrolled.again])
        if enrolled.cancelled:
            cancel = dispatch_pb2.Cancel(lease_ids=enrolled.cancelled, reason="cancelled")
            stream.send(cancel=cancel)
        held_back, stream.held_back = stream.held_back, None
        for entry in held_back:
            self._pass_on(stream, entry)
        _log.info("worker connected", worker=hello.worker_id, name=hello.name, slots=hello.slots)

    async def _gone(self, stream: Stream) -> None:
        if not stream.worker_id:
            return
        if self._streams.get(stream.worker_id) is stream:
            del self._streams[stream.worker_id]
        try:
            # First it gets nothing new, or what a deaf one gives back would be its own again at once.
            still_counted = await self.shard.workers.leave([(stream.worker_id, stream.session_id, "gone")])
            if stream.deaf and still_counted:
                await self._release_unaccepted(stream)
        except StoreUnavailable as error:
            _log.warning("leave not recorded: the session will expire", error=str(error))

    @override
    async def on_box_lost(self) -> None:
        """The workers say Hello again, and get anew what was lost on the way to them."""
        for stream in list(self._streams.values()):
            stream.end(SessionReplaced("work may have been lost on its way: connect again"))

    async def _inbox(self) -> None:
        key = self.shard.keys.of("inbox", inc=self.inc)
        await self.read_box(key, INBOX_AT_ONCE, self._open_all)

    async def _open_all(self, entries: list[bytes]) -> None:
        for entry in entries:
            self._open(unpack(entry))

    def _open(self, entry: list[Any]) -> None:
        _kind, worker, session, *_rest = entry
        stream = self._streams.get(worker.decode())
        if stream is None or stream.session_id != session.decode():
            return  # the worker has moved on; its next Hello reconciles
        if stream.held_back is not None:
            stream.held_back.append(entry)
        else:
            self._pass_on(stream, entry)

    def _pass_on(self, stream: Stream, entry: list[Any]) -> None:
        kind, _worker, _session, *rest = entry
        match kind:
            case b"assign":
                stream.assign([to_attempt(entry) for entry in rest[0]])
            case b"cancel":
                leases, reason = rest
                message = dispatch_pb2.Cancel(lease_ids=[lease.decode() for lease in leases], reason=reason.decode())
                stream.send(cancel=message)
            case b"replaced":
                stream.end(SessionReplaced("the worker has connected to another dispatcher"))
            case _:
                raise AssertionError(f"an inbox entry of kind {kind!r}")

    async def _beat_workers(self, items: list[tuple[Stream, Beat]]) -> None:
        beats = [(s.worker_id, s.session_id, beat.lease_ids) for s, beat in items]
        answers = await self.shard.workers.heartbeat(self._ttl_ms, beats)
        for (stream, beat), lost in zip(items, answers, strict=True):
            if lost is None:
                stream.end(SessionReplaced("the session has expired or been replaced"))
            else:
                answer = dispatch_pb2.HeartbeatAnswer(sequence=beat.sequence, lost_lease_ids=lost)
                stream.send(heartbeat_answer=answer)
                for lease_id in lost:  # nothing more will be heard of them
                    stream.session.forget(lease_id)

    async def _release_unaccepted(self, stream: Stream) -> None:
        """A deaf worker's assignments go back; any other keeps its own until its session expires."""
        nothing = b""
        await self.shard.runs.fail([(a.run_id, a.lease_id, "release", 0, nothing) for a in stream.unaccepted()])


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


def _beat_bytes(item: tuple[Stream, Beat]) -> int:
    return _BEAT_BYTES + _LEASE_BYTES * len(item[1].lease_ids)
