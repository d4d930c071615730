"""Many workers in one process: each the least that the worker stream asks for, on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import uvloop

from bench.engine_tasks import Application
from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)

if TYPE_CHECKING:
    from windlass.v1 import workflow_pb2

# Each channel has a connection of its own, as workers on a thousand machines have.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
# Connections opened at a time.
_OPENING = 50
_Stream = grpc.aio.StreamStreamCall[dispatch_service_pb2.ConnectRequest, dispatch_service_pb2.ConnectResponse]


async def _heartbeats(stream: _Stream, writing: asyncio.Lock, interval_seconds: float) -> None:
    sequence = 0
    while True:
        await asyncio.sleep(interval_seconds)
        sequence += 1
        heartbeat = dispatch_pb2.Heartbeat(sequence=sequence)
        async with writing:
            await stream.write(dispatch_service_pb2.ConnectRequest(heartbeat=heartbeat))


def _report(assignments: dispatch_pb2.Assignments) -> dispatch_service_pb2.ConnectRequest:
    answer = dispatch_service_pb2.ConnectRequest()
    for assignment in assignments.assignments:
        task_input: dict[str, Any] = json.loads(assignment.spec.input_json)
        answer.report.completed.add(
            lease_id=assignment.lease_id,
            run_id=assignment.run_id,
            output_json=json.dumps({"id": task_input["id"], "ok": True}).encode(),
        )
    return answer


async def _work(
    address: str, number: int, slots: int, definition: workflow_pb2.WorkflowDefinition, opening: asyncio.Semaphore
) -> None:
    hello = dispatch_pb2.Hello(
        worker_id=uuid.uuid4().hex,
        name=f"stream-{number}",
        sdk="bench",
        host=f"bench:{number}",
        slots=slots,
        workflows=[definition],
    )
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel, asyncio.TaskGroup() as tasks:
        stream: _Stream = dispatch_service_pb2_grpc.DispatchServiceStub(channel).Connect()
        async with opening:
            await stream.write(dispatch_service_pb2.ConnectRequest(hello=hello))
            welcome = await stream.read()  # grpc.aio.EOF where it is refused
        if not isinstance(welcome, dispatch_service_pb2.ConnectResponse):
            raise ConnectionError(f"stream worker {number} was not welcome")
        writing = asyncio.Lock()
        tasks.create_task(_heartbeats(stream, writing, welcome.welcome.heartbeat_interval_ms / 1_000))
        while isinstance(message := await stream.read(), dispatch_service_pb2.ConnectResponse):
            if message.HasField("assignments"):
                async with writing:
                    await stream.write(_report(message.assignments))


async def _serve(api_address: str, slots: int, count: int) -> None:
    definition = Application(api_address).noop.definition()
    async with grpc.aio.insecure_channel(api_address) as channel:
        request = worker_service_pb2.ListDispatchersRequest()
        found = await worker_service_pb2_grpc.WorkerServiceStub(channel).ListDispatchers(request)
    address = found.addresses[0]
    opening = asyncio.Semaphore(_OPENING)
    async with asyncio.TaskGroup() as workers:
        for number in range(count):
            workers.create_task(_work(address, number, slots, definition, opening))


def run_stream_workers(api_address: str, slots: int, count: int) -> None:
    """Serve until killed."""
    uvloop.run(_serve(api_address, slots, count))
