"""Owns a dispatcher without an engine, for whatever speaks the worker protocol, and the api's part in it.

It takes workers in, notes what they say and answers as it is told to. It runs on the loop that starts
it; `fake_dispatcher.py` puts it on the SDK's.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from typing_extensions import override

from tests.support.loopback_server import Changes, LoopbackServer
from tests.support.worker_link import Heard, Link
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
    from collections.abc import AsyncIterator

    Context = grpc.aio.ServicerContext[Any, Any]

_numbers = itertools.count(1)


class Door:
    """Who is let in: everybody, or whoever has the token.

    Other programs of this machine may still look for a server that had the port before.
    """

    def __init__(self, changes: Changes, token: str = "") -> None:
        """Let everybody in, or those with the token."""
        self._changes = changes
        self._token = token

    async def admit(self, context: Context) -> dict[str, str | bytes]:
        """Return the call's metadata, or end the call of a stranger."""
        metadata = dict(context.invocation_metadata() or ())
        if self._token and metadata.get("authorization") != f"Bearer {self._token}":
            self._changes.hint = " (a call came without the token, and was refused)"
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing, or another one")
        return metadata


def assignment(
    task: str, input_json: bytes = b"{}", *, workflow: str = "", hook: run_pb2.Hook | None = None, **fields: Any
) -> dispatch_pb2.Assignment:
    """An attempt with a lease and a run of its own; without a workflow of a task that is one by itself."""
    number = next(_numbers)
    return dispatch_pb2.Assignment(
        run_id=f"01890a5d-ac96-774b-bcce-{number:012x}",
        lease_id=uuid.uuid4().hex,
        task_name=task,
        spec=run_pb2.RunSpec(workflow_name=workflow or task, input_json=input_json, hook=hook),
        **{"attempt": 1, "max_attempts": 1, **fields},
    )


class ScriptedDispatcher(dispatch_service_pb2_grpc.DispatchServiceServicer):
    """One dispatcher. What it does by itself can be switched off."""

    def __init__(self, changes: Changes, door: Door) -> None:
        self.server = LoopbackServer(self.add_to)
        self.links: list[Link] = []
        self.welcomes = True
        self.acknowledges = True
        self.settles = True
        self.answers_heartbeats = True
        #: What the answers to heartbeats that name them call lost.
        self.lost_leases: set[str] = set()
        #: End every stream that is opened with this status, once its Hello is here: where a stream ends while a
        #: request is being written, gRPC for Python shows INTERNAL in place of the status.
        self.refuse: grpc.StatusCode | None = None
        #: When streams were refused, in seconds of the loop's clock.
        self.refused_at: list[float] = []
        self.welcome = dispatch_pb2.Welcome(
            session_id="session",
            heartbeat_interval_ms=5000,
            session_ttl_ms=15000,
            max_payload_bytes=1 << 20,
            accept_timeout_ms=5000,
            cancel_grace_ms=0,
        )
        self._changes = changes
        self._door = door

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve on this server."""
        dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server(self, server)

    @property
    def open_links(self) -> list[Link]:
        """The streams that are not over."""
        return [link for link in self.links if not link.is_over]

    async def link(self, number: int) -> Link:
        """Wait for the Hello on the stream of this number, from 1."""
        await self._changes.until(
            lambda: len(self.links) >= number and self.links[number - 1].heard,
            "a stream with a Hello" if number == 1 else f"a stream with a Hello, number {number}",
        )
        return self.links[number - 1]

    async def break_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """End every open stream with this status."""
        for link in self.open_links:
            link.end(code)

    @override
    async def Connect(
        self, request_iterator: AsyncIterator[ConnectRequest], context: Context
    ) -> AsyncIterator[ConnectResponse]:
        """Note requests, give answers."""
        metadata = await self._door.admit(context)
        if self.refuse is not None:
            await anext(aiter(request_iterator), None)
            self.refused_at.append(asyncio.get_running_loop().time())
            self._changes.note()
            await context.abort(self.refuse, "refused")
        link = Link(metadata, self._changes)
        self.links.append(link)
        reader = asyncio.get_running_loop().create_task(self._read(request_iterator, link))
        try:
            while isinstance(response := await link.outbox.get(), ConnectResponse):
                yield response
            if response is not grpc.StatusCode.OK:
                await context.abort(response, "told to")
        finally:
            reader.cancel()
            link.is_over = True
            self._changes.note()

    async def _read(self, requests: AsyncIterator[ConnectRequest], link: Link) -> None:
        async for request in requests:
            link.heard.append(Heard(asyncio.get_running_loop().time(), request))
            self._answer(request, link)
            self._changes.note()
        link.half_closed = True
        link.end(grpc.StatusCode.OK)
        self._changes.note()

    def _answer(self, request: ConnectRequest, link: Link) -> None:
        match request.WhichOneof("message"):
            case "hello" if self.welcomes:
                link.say(welcome=self.welcome)
            case "report" if self.acknowledges:
                leases = [each.lease_id for each in request.report.completed]
                leases += [each.lease_id for each in request.report.failed]
                if leases:
                    link.acknowledge(*leases)
            case "chunks" if self.settles:
                for put in request.chunks.chunks:
                    link.settle(put.lease_id, put.first + len(put.chunks))
            case "heartbeat" if self.answers_heartbeats:
                beat = request.heartbeat
                lost = self.lost_leases.intersection(beat.lease_ids)
                link.say(heartbeat_answer=dispatch_pb2.HeartbeatAnswer(sequence=beat.sequence, lost_lease_ids=lost))


class ScriptedApi(worker_service_pb2_grpc.WorkerServiceServicer, run_service_pb2_grpc.RunServiceServicer):
    """What a worker needs of an api: the dispatchers alive, and cancelling a run."""

    def __init__(self, changes: Changes, door: Door) -> None:
        self.server = LoopbackServer(self.add_to)
        self.addresses: list[str] = []
        #: How often it was asked for the dispatchers.
        self.asked = 0
        self.cancelled_runs: list[str] = []
        self._changes = changes
        self._door = door

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve on this server."""
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, server)
        run_service_pb2_grpc.add_RunServiceServicer_to_server(self, server)

    @override
    async def ListDispatchers(
        self, request: worker_service_pb2.ListDispatchersRequest, context: Context
    ) -> worker_service_pb2.ListDispatchersResponse:
        """Name the dispatchers."""
        await self._door.admit(context)
        self.asked += 1
        self._changes.note()
        if not self.addresses:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no dispatcher is alive")
        return worker_service_pb2.ListDispatchersResponse(addresses=self.addresses)

    @override
    async def CancelRuns(
        self, request: run_service_pb2.CancelRunsRequest, context: Context
    ) -> run_service_pb2.CancelRunsResponse:
        """Note what is cancelled."""
        self.cancelled_runs += request.run_ids
        self._changes.note()
        return run_service_pb2.CancelRunsResponse()
