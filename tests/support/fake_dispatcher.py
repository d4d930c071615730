"""A dispatcher without an engine, for tests of the worker's transport.

It notes what it is told and answers as the test says. Its port also answers ListDispatchers and
CancelRuns, as an api does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from typing_extensions import override

from windlass.config import ClientConfig
from windlass.transport.io_thread import io_thread
from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2_grpc,
    run_pb2,
    run_service_pb2,
    run_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from windlass.v1.dispatch_service_pb2 import ConnectRequest, ConnectResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_leases = itertools.count(1)


def assignment(task: str, input_json: bytes = b"{}", **fields: Any) -> dispatch_pb2.Assignment:
    """An attempt with a lease and a run of its own."""
    number = next(_leases)
    return dispatch_pb2.Assignment(
        run_id=f"run-{number}",
        lease_id=f"{number:032x}",
        task_name=task,
        spec=run_pb2.RunSpec(workflow_name=task, input_json=input_json),
        **{"attempt": 1, "max_attempts": 1, **fields},
    )


class FakeDispatcher(
    dispatch_service_pb2_grpc.DispatchServiceServicer,
    worker_service_pb2_grpc.WorkerServiceServicer,
    run_service_pb2_grpc.RunServiceServicer,
):
    """Runs on the process's I/O thread: gRPC takes one loop per process."""

    def __init__(self) -> None:
        self.port = 0
        self.addresses: list[str] = []
        self.hellos: list[dispatch_pb2.Hello] = []
        self.reports: list[dispatch_pb2.Report] = []
        self.logs: list[dispatch_pb2.TaskLog] = []
        self.heartbeats = 0
        self.draining = False
        self.closed = 0
        self.acknowledge = True
        self.refuse: grpc.StatusCode | None = None
        self.welcome = dispatch_pb2.Welcome(
            session_id="session",
            heartbeat_interval_ms=5000,
            session_ttl_ms=15000,
            max_payload_bytes=1 << 20,
            accept_timeout_ms=5000,
            cancel_grace_ms=0,
        )
        self.cancelled_runs: list[str] = []
        self.answer_cancels: asyncio.Event | None = None
        self._server: grpc.aio.Server | None = None
        self._outboxes: list[asyncio.Queue[ConnectResponse | grpc.StatusCode]] = []
        self._changed: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def completed(self) -> dict[str, bytes]:
        """Outputs by run, of all that was reported so far."""
        return {each.run_id: each.output_json for report in self.reports for each in report.completed}

    @property
    def failed(self) -> dict[str, dispatch_pb2.Failed]:
        """Failures by run, of all that was reported so far."""
        return {each.run_id: each for report in self.reports for each in report.failed}

    @property
    def accepted(self) -> list[str]:
        """Leases accepted so far."""
        return [lease for report in self.reports for lease in report.accepted_lease_ids]

    def config(self) -> ClientConfig:
        """Settings of a worker that finds this dispatcher through its api half."""
        return ClientConfig(api_address=self.address)

    # --- from the test's thread ------------------------------------------------------------------

    def start(self) -> None:
        """Listen; on the same port as before, if it did."""
        io_thread().run(self._start()).result(10)

    def stop(self) -> None:
        """Stop listening and break every stream."""
        io_thread().run(self._stop()).result(10)

    def say(self, **message: Any) -> None:
        """Send a message, named by its field of ConnectResponse, on every open stream."""
        response = ConnectResponse(**message)
        io_thread().run(self._put(response)).result(10)

    def assign(self, *assignments: dispatch_pb2.Assignment) -> None:
        """Assign these in one batch."""
        self.say(assignments=dispatch_pb2.Assignments(assignments=assignments))

    def break_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """End every open stream with this status."""
        io_thread().run(self._put(code)).result(10)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that a message changes is so."""
        io_thread().run(asyncio.wait_for(self._until(condition), 10)).result(15)

    # --- on the I/O thread -----------------------------------------------------------------------

    @override
    async def Connect(
        self,
        request_iterator: AsyncIterator[ConnectRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[ConnectResponse]:
        """Note requests, give answers."""
        outbox: asyncio.Queue[ConnectResponse | grpc.StatusCode] = asyncio.Queue()
        if self.refuse is not None:
            await context.abort(self.refuse, "refused")
        self._outboxes.append(outbox)
        reader = asyncio.get_running_loop().create_task(self._read(request_iterator, outbox))
        try:
            while isinstance(response := await outbox.get(), ConnectResponse):
                yield response
            if response is not grpc.StatusCode.OK:
                await context.abort(response, "told to")
        finally:
            self._outboxes.remove(outbox)
            reader.cancel()

    @override
    async def ListDispatchers(
        self,
        request: worker_service_pb2.ListDispatchersRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> worker_service_pb2.ListDispatchersResponse:
        """Name this dispatcher, or what the test says."""
        return worker_service_pb2.ListDispatchersResponse(addresses=self.addresses or [self.address])

    @override
    async def CancelRuns(
        self,
        request: run_service_pb2.CancelRunsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> run_service_pb2.CancelRunsResponse:
        """Note what is cancelled."""
        self.cancelled_runs += request.run_ids
        self._note_change()
        return run_service_pb2.CancelRunsResponse()

    async def _read(
        self,
        requests: AsyncIterator[ConnectRequest],
        outbox: asyncio.Queue[ConnectResponse | grpc.StatusCode],
    ) -> None:
        async for request in requests:
            self._note(request, outbox)
            self._note_change()
        self.closed += 1
        self._note_change()
        outbox.put_nowait(grpc.StatusCode.OK)

    def _note(self, request: ConnectRequest, outbox: asyncio.Queue[ConnectResponse | grpc.StatusCode]) -> None:
        match request.WhichOneof("message"):
            case "hello":
                self.hellos.append(request.hello)
                outbox.put_nowait(ConnectResponse(welcome=self.welcome))
            case "report":
                self.reports.append(request.report)
                leases = [each.lease_id for each in request.report.completed]
                leases += [each.lease_id for each in request.report.failed]
                if self.acknowledge and leases:
                    outbox.put_nowait(acks(*leases))
            case "heartbeat":
                self.heartbeats += 1
                answer = dispatch_pb2.HeartbeatAnswer(sequence=request.heartbeat.sequence)
                outbox.put_nowait(ConnectResponse(heartbeat_answer=answer))
            case "logs":
                self.logs += request.logs.logs
            case "draining":
                self.draining = True
            case None:
                raise AssertionError("an empty message")

    async def _start(self) -> None:
        self._changed = asyncio.Event()
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server(self, self._server)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, self._server)
        run_service_pb2_grpc.add_RunServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def _stop(self) -> None:
        await self._put(grpc.StatusCode.UNAVAILABLE)
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def _put(self, item: ConnectResponse | grpc.StatusCode) -> None:
        for outbox in self._outboxes:
            outbox.put_nowait(item)

    def _note_change(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        assert self._changed is not None
        while not condition():
            self._changed.clear()
            await self._changed.wait()


def acks(*leases: str) -> ConnectResponse:
    """Acknowledge these leases as recorded."""
    return ConnectResponse(
        acks=dispatch_pb2.Acks(
            acks=[dispatch_pb2.Ack(lease_id=lease, outcome=dispatch_pb2.REPORT_OUTCOME_RECORDED) for lease in leases]
        )
    )


@contextlib.contextmanager
def fake_dispatcher() -> Iterator[FakeDispatcher]:
    """Give one that listens."""
    dispatcher = FakeDispatcher()  # type: ignore[abstract] # the other calls are not made
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
