# ruff: noqa: D102 - bench.client and bench.system say what these do
"""The two ends of the bare path: the worker and the client."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import grpc
import uvloop

from windlass.v1 import (
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
    run_service_pb2,
    run_service_pb2_grpc,
)

_OPTIONS = (("grpc.max_receive_message_length", 16 << 20),)
# Runs in one message, and messages that may be unanswered.
_BATCH, _WINDOW = 200, 8


async def _noop(payload: dict[str, Any]) -> dict[str, Any]:
    return {"id": payload["id"], "ok": True}


async def work(address: str) -> None:
    """Execute what comes; answer each message with one."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        await channel.channel_ready()
        stream = dispatch_service_pb2_grpc.DispatchServiceStub(channel).Connect()
        await stream.write(dispatch_service_pb2.ConnectRequest())
        async for message in stream:
            if not message.HasField("assignments"):
                continue
            answer = dispatch_service_pb2.ConnectRequest()
            for assignment in message.assignments.assignments:
                output = await _noop(json.loads(assignment.spec.input_json))
                answer.report.completed.add(
                    lease_id=assignment.lease_id,
                    run_id=assignment.run_id,
                    output_json=json.dumps(output).encode(),
                )
            await stream.write(answer)


class BareClient:
    """One stream; submits in batches, results as they come."""

    def __init__(self, address: str) -> None:
        self._loop = uvloop.new_event_loop()
        self._outputs: dict[str, bytes] = {}
        self._missing = 0
        self._all_there = asyncio.Event()
        self._window = asyncio.Semaphore(_WINDOW)
        self._kept: list[str] = []
        self._loop.run_until_complete(self._connect(address))

    async def _connect(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        await self._channel.channel_ready()
        self._stream = run_service_pb2_grpc.RunServiceStub(self._channel).Session()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._stream:
            if message.HasField("submitted"):
                self._window.release()
                continue
            for result in message.results.results:
                self._outputs[result.run_id] = result.output_json
            self._missing -= len(message.results.results)
            if self._missing == 0:
                self._all_there.set()

    async def _submit(self, inputs: list[dict[str, Any]], batch: int) -> list[str]:
        run_ids: list[str] = []
        self._missing += len(inputs)
        self._all_there.clear()
        for start in range(0, len(inputs), batch):
            message = run_service_pb2.SessionRequest(request_id=start + 1)
            for task_input in inputs[start : start + batch]:
                run = message.submit.runs.add(run_id=str(uuid.uuid4()))
                run.spec.workflow_name = "noop"
                run.spec.input_json = json.dumps(task_input).encode()
                run_ids.append(run.run_id)
            await self._window.acquire()
            await self._stream.write(message)
        return run_ids

    async def _take(self, run_ids: list[str]) -> list[Any]:
        if self._missing:
            await self._all_there.wait()
        return [json.loads(self._outputs.pop(run_id)) for run_id in run_ids]

    async def _run(self, inputs: list[dict[str, Any]], batch: int) -> list[Any]:
        return await self._take(await self._submit(inputs, batch))

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        return self._loop.run_until_complete(self._run(inputs, _BATCH))

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        return self._loop.run_until_complete(self._run(inputs, _BATCH))

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        async def one_by_one() -> list[str]:
            run_ids: list[str] = []
            for task_input in inputs:
                run_ids += await self._submit([task_input], 1)
                await self._idle()
            return run_ids

        self._kept = self._loop.run_until_complete(one_by_one())

    async def _idle(self) -> None:
        for _ in range(_WINDOW):
            await self._window.acquire()
        for _ in range(_WINDOW):
            self._window.release()

    def settle(self) -> list[Any]:
        return self._loop.run_until_complete(self._take(self._kept))

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        return self._loop.run_until_complete(self._run([task_input], 1))[0]
