"""Owns an api without an engine, for tests of the client's transport alone.

It notes what it is told and answers as the test says. Whoever wants real answers starts a real engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
from typing_extensions import override

from tests.support.loopback_server import Changes, LoopbackServer
from windlass.transport.io_thread import io_thread
from windlass.v1 import error_pb2, run_pb2, run_service_pb2, run_service_pb2_grpc
from windlass.v1.run_service_pb2 import SessionRequest, SessionResponse

Answers = AsyncIterator[SessionResponse]


class FakeApi(run_service_pb2_grpc.RunServiceServicer):
    """Runs on the process's I/O thread: gRPC takes one loop per process."""

    def __init__(self) -> None:
        self.requests: list[SessionRequest] = []
        self.sessions = 0
        #: run id to what was submitted, in order of arrival
        self.submitted: dict[str, run_pb2.RunSpec] = {}
        self.acknowledge = True
        self.complete = True
        self.registered: list[str] = []
        self.refuse_registration: error_pb2.ErrorDetail | None = None
        self.refuse: Callable[[run_pb2.RunSpec], error_pb2.ErrorDetail | None] = lambda _: None
        self.known_runs: set[str] = set()
        #: The run that has every idempotency key, where there is one.
        self.holder = ""
        self._ended: dict[str, bytes] = {}
        self.metadata: dict[str, str | bytes] = {}
        self._reason: error_pb2.ErrorReason.ValueType | None = None
        self._server = LoopbackServer(
            lambda server: run_service_pb2_grpc.add_RunServiceServicer_to_server(self, server)
        )
        self._outboxes: list[asyncio.Queue[SessionResponse | None]] = []
        self._changes = Changes()

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._server.address

    # --- from the test's thread ------------------------------------------------------------------

    def start(self) -> None:
        """Listen; on the same port as before, if it did."""
        io_thread().run(self._server.start()).result(10)

    def stop(self) -> None:
        """Stop listening and break every stream."""
        io_thread().run(self._stop()).result(10)

    def say(self, response: SessionResponse) -> None:
        """Send to every open session."""
        io_thread().run(self._say(response)).result(10)

    def finish(self, run_id: str, output: bytes = b"null") -> None:
        """Tell the end of a run, now and to whoever asks for it."""
        self._ended[run_id] = output
        self.say(results_of([completed(run_id, output)]))

    def break_streams(self, reason: error_pb2.ErrorReason.ValueType | None = None) -> None:
        """End every open session as a server that goes away does, or with RESOURCE_EXHAUSTED and a reason."""
        self._reason = reason
        io_thread().run(self._break_streams()).result(10)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that a request changes is so."""
        io_thread().run(self._changes.until(condition, "what the test waits for")).result(15)

    # --- on the I/O thread -----------------------------------------------------------------------

    @override
    async def Session(
        self, request_iterator: AsyncIterator[SessionRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> Answers:
        """Note requests, give answers."""
        self.sessions += 1
        self.metadata = dict(context.invocation_metadata() or ())
        outbox: asyncio.Queue[SessionResponse | None] = asyncio.Queue()
        self._outboxes.append(outbox)
        reader = asyncio.get_running_loop().create_task(self._read(request_iterator, outbox))
        try:
            while (response := await outbox.get()) is not None:
                yield response
            if self._reason is None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
            detail = error_pb2.ErrorDetail(reason=self._reason, message="told")
            trailer = (("grpc-status-details-bin", packed(8, detail)),)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "told", trailer)
        finally:
            self._outboxes.remove(outbox)
            reader.cancel()

    async def _read(
        self, requests: AsyncIterator[SessionRequest], outbox: asyncio.Queue[SessionResponse | None]
    ) -> None:
        async for request in requests:
            self.requests.append(request)
            for answer in self._answers(request):
                outbox.put_nowait(answer)
            self._changes.note()

    def _answers(self, request: SessionRequest) -> Iterator[SessionResponse]:
        match request.WhichOneof("message"):
            case "register":
                yield self._register(request)
            case "submit":
                yield from self._submit(request)
            case "subscribe" | None:
                unknown = [each for each in request.subscribe.run_ids if each not in self.known_runs]
                yield SessionResponse(
                    request_id=request.request_id,
                    subscribed=run_service_pb2.SessionSubscribed(unknown_run_ids=unknown),
                )
                if ended := [each for each in request.subscribe.run_ids if each in self._ended]:
                    yield results_of([completed(each, self._ended[each]) for each in ended])

    def _register(self, request: SessionRequest) -> SessionResponse:
        names = [each.name for each in request.register.workflows]
        if self.refuse_registration is None:
            self.registered += names
        answer = run_service_pb2.SessionRegistered(versions=["0" * 16 for _ in names], error=self.refuse_registration)
        return SessionResponse(request_id=request.request_id, registered=answer)

    def _submit(self, request: SessionRequest) -> Iterator[SessionResponse]:
        outcomes, ends = [], []
        for run in request.submit.runs:
            if self.holder and run.spec.HasField("idempotency"):
                outcomes.append(run_service_pb2.SubmitOutcome(run_id=self.holder, duplicate=True))
                continue
            error = self.refuse(run.spec)
            outcomes.append(run_service_pb2.SubmitOutcome(run_id=run.run_id, error=error))
            if error is None:
                self.submitted[run.run_id] = run.spec
                self.known_runs.add(run.run_id)
                ends.append(completed(run.run_id, run.spec.input_json))
        if self.acknowledge:
            answer = run_service_pb2.SubmitRunsResponse(outcomes=outcomes)
            yield SessionResponse(request_id=request.request_id, submitted=answer)
        if self.complete and self.acknowledge and request.submit.subscribe and ends:
            yield results_of(ends)

    @override
    async def GetRun(
        self, request: run_service_pb2.GetRunRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> run_service_pb2.GetRunResponse:
        """Show a run that was submitted."""
        if request.run_id not in self.submitted:
            detail = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_UNKNOWN_RUN, message="no such run")
            context.set_trailing_metadata((("grpc-status-details-bin", packed(5, detail)),))
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such run")
        run = run_pb2.Run(
            run_id=request.run_id,
            spec=self.submitted[request.run_id],
            status=run_pb2.RUN_STATUS_COMPLETED,
            phase=run_pb2.RUN_PHASE_TERMINAL,
            created_at_ms=1_700_000_000_000,
        )
        return run_service_pb2.GetRunResponse(run=run)

    async def _stop(self) -> None:
        await self._break_streams()
        await self._server.stop()

    async def _break_streams(self) -> None:
        for outbox in self._outboxes:
            outbox.put_nowait(None)

    async def _say(self, response: SessionResponse) -> None:
        for outbox in self._outboxes:
            outbox.put_nowait(response)


@contextlib.contextmanager
def fake_api() -> Iterator[FakeApi]:
    """Give one that listens."""
    api = FakeApi()  # type: ignore[abstract] # gRPC answers UNIMPLEMENTED for the others
    api.start()
    try:
        yield api
    finally:
        api.stop()


def completed(run_id: str, output: bytes) -> run_pb2.RunResult:
    """The result of a run that went well."""
    return run_pb2.RunResult(run_id=run_id, status=run_pb2.RUN_STATUS_COMPLETED, output_json=output)


def results_of(results: list[run_pb2.RunResult]) -> SessionResponse:
    """Results as the api sends them."""
    return SessionResponse(results=run_service_pb2.SessionResults(results=results))


def packed(code: int, detail: error_pb2.ErrorDetail) -> bytes:
    """Write google.rpc.Status with our detail, field by field as its .proto has them."""
    text = detail.SerializeToString()
    url = b"type.googleapis.com/windlass.v1.ErrorDetail"
    wrapped = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(text)]) + text
    return b"\x08" + bytes([code]) + b"\x1a" + bytes([len(wrapped)]) + wrapped
