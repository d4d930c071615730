# ruff: noqa: D103 - bench.client and bench.system say what these do
"""The bare api, scheduler and dispatcher: each one hop, each a process."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import grpc

from bench.bare.gather import Gather
from bench.bare.hops import ASSIGN, COMPLETE, INBOX, OUTBOX, QUEUE, SUBMIT, connect, pop
from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    run_pb2,
    run_service_pb2,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OPTIONS = (("grpc.max_receive_message_length", 16 << 20),)
_LIMIT = 1_000


async def _serve(service: str, method: str, handler: grpc.RpcMethodHandler[Any, Any], address: str) -> grpc.aio.Server:
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(address)
    await server.start()
    return server


class _Api:
    def __init__(self, url: str) -> None:
        self._url = url
        self._store = connect(url)
        self._submit = self._store.register_script(SUBMIT)
        self._streams: list[asyncio.Queue[run_service_pb2.SessionResponse]] = []
        self.submits: Gather[run_service_pb2.SessionRequest] = Gather(self._flush, 20)

    async def _flush(self, requests: list[run_service_pb2.SessionRequest]) -> None:
        await self._submit(
            args=[
                field
                for request in requests
                for run in request.submit.runs
                for field in (run.run_id, run.spec.SerializeToString())
            ]
        )
        for request in requests:
            answer = run_service_pb2.SessionResponse(request_id=request.request_id)
            answer.submitted.outcomes.extend(
                run_service_pb2.SubmitOutcome(run_id=run.run_id) for run in request.submit.runs
            )
            self._streams[-1].put_nowait(answer)

    async def deliver(self) -> None:
        outbox = connect(self._url)
        while True:
            entries = await pop(outbox, OUTBOX)
            results = run_service_pb2.SessionResults()
            for run_id, output in zip(entries[::2], entries[1::2], strict=True):
                results.results.add(run_id=run_id.decode(), status=run_pb2.RUN_STATUS_COMPLETED, output_json=output)
            self._streams[-1].put_nowait(run_service_pb2.SessionResponse(results=results))

    async def session(
        self, request_iterator: AsyncIterator[run_service_pb2.SessionRequest], context: object
    ) -> AsyncIterator[run_service_pb2.SessionResponse]:
        del context
        answers: asyncio.Queue[run_service_pb2.SessionResponse] = asyncio.Queue()
        self._streams.append(answers)

        async def read() -> None:
            async for request in request_iterator:
                self.submits.put([request])

        reading = asyncio.create_task(read())
        try:
            while True:
                yield await answers.get()
        finally:
            reading.cancel()


async def serve_api(url: str, address: str) -> None:
    api = _Api(url)
    handler = grpc.stream_stream_rpc_method_handler(
        api.session,
        run_service_pb2.SessionRequest.FromString,
        run_service_pb2.SessionResponse.SerializeToString,
    )
    server = await _serve("windlass.v1.RunService", "Session", handler, address)
    await asyncio.gather(server.wait_for_termination(), api.submits.serve(), api.deliver())


async def serve_scheduler(url: str) -> None:
    popping, store = connect(url), connect(url)
    assign = store.register_script(ASSIGN)
    while True:
        run_ids = await pop(popping, QUEUE)
        random = os.urandom(16 * len(run_ids)).hex()
        await assign(
            args=[
                field
                for place, run_id in enumerate(run_ids)
                for field in (run_id, random[32 * place : 32 * place + 32])
            ]
        )


class _Dispatcher:
    def __init__(self, url: str) -> None:
        self._url = url
        self._store = connect(url)
        self._complete = self._store.register_script(COMPLETE)
        self.completed: Gather[dispatch_pb2.Completed] = Gather(self._flush, _LIMIT)
        self._answers: asyncio.Queue[dispatch_service_pb2.ConnectResponse] = asyncio.Queue()

    async def _flush(self, completed: list[dispatch_pb2.Completed]) -> None:
        await self._complete(
            args=[field for report in completed for field in (report.run_id, report.lease_id, report.output_json)]
        )
        answer = dispatch_service_pb2.ConnectResponse()
        for report in completed:
            answer.acks.acks.add(lease_id=report.lease_id, outcome=dispatch_pb2.REPORT_OUTCOME_RECORDED)
        self._answers.put_nowait(answer)

    async def _deliver(self) -> None:
        inbox = connect(self._url)
        while True:
            entries = await pop(inbox, INBOX)
            answer = dispatch_service_pb2.ConnectResponse()
            for place in range(0, len(entries), 3):
                assignment = answer.assignments.assignments.add(
                    run_id=entries[place].decode(), lease_id=entries[place + 1].decode(), attempt=1
                )
                assignment.spec.MergeFromString(entries[place + 2])
            self._answers.put_nowait(answer)

    async def connect_worker(
        self, request_iterator: AsyncIterator[dispatch_service_pb2.ConnectRequest], context: object
    ) -> AsyncIterator[dispatch_service_pb2.ConnectResponse]:
        del context

        async def read() -> None:
            async for request in request_iterator:
                self.completed.put(list(request.report.completed))

        tasks = [asyncio.create_task(read()), asyncio.create_task(self._deliver())]
        try:
            while True:
                yield await self._answers.get()
        finally:
            for task in tasks:
                task.cancel()


async def serve_dispatcher(url: str, address: str) -> None:
    dispatcher = _Dispatcher(url)
    handler = grpc.stream_stream_rpc_method_handler(
        dispatcher.connect_worker,
        dispatch_service_pb2.ConnectRequest.FromString,
        dispatch_service_pb2.ConnectResponse.SerializeToString,
    )
    server = await _serve("windlass.v1.DispatchService", "Connect", handler, address)
    await asyncio.gather(server.wait_for_termination(), dispatcher.completed.serve())
