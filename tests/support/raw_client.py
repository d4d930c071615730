"""The engine's doors as any generated client sees them: stubs over a channel, and no SDK."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
    error_pb2,
    rate_limit_service_pb2_grpc,
    run_pb2,
    run_service_pb2,
    run_service_pb2_grpc,
    schedule_service_pb2_grpc,
    worker_service_pb2_grpc,
    workflow_pb2,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PATIENCE_S = 30.0


def workflow(name: str, **task: Any) -> workflow_pb2.WorkflowDefinition:
    """A definition of one task."""
    return workflow_pb2.WorkflowDefinition(name=name, tasks=[workflow_pb2.TaskDefinition(name=name, **task)])


def submission(name: str, value: object = None, run_id: str = "", **spec: Any) -> run_service_pb2.RunSubmission:
    """One run to submit."""
    given = {"workflow_name": name, "input_json": json.dumps(value).encode(), **spec}
    return run_service_pb2.RunSubmission(run_id=run_id, spec=run_pb2.RunSpec(**given))


def detail_of(error: grpc.aio.AioRpcError) -> error_pb2.ErrorDetail:
    """The typed detail of a failed call."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value if isinstance(value, bytes) else value.encode())
            detail = error_pb2.ErrorDetail()
            assert status.message == error.details()
            assert status.details[0].Unpack(detail)
            return detail
    raise AssertionError(f"no detail: {error.code()} {error.details()}")


@dataclass(frozen=True)
class Door:
    """The stubs over one channel; which of them answer depends on whose door it is."""

    runs: Any
    workflows: Any
    workers: Any
    schedules: Any
    rate_limits: Any
    dispatch: Any
    health: Any
    reflection: Any

    async def register(self, *names: str, **task: Any) -> None:
        """Registers workflows of one task each."""
        request = workflow_service_pb2.RegisterWorkflowsRequest(workflows=[workflow(name, **task) for name in names])
        await self.workflows.RegisterWorkflows(request)

    async def submit(self, *submissions: run_service_pb2.RunSubmission) -> list[str]:
        """Submits runs, all of which are taken, and gives their ids."""
        answer = await self.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=submissions))
        assert not [outcome for outcome in answer.outcomes if outcome.HasField("error")]
        return [outcome.run_id for outcome in answer.outcomes]

    async def get(self, run_id: str) -> run_pb2.Run:
        """One run."""
        answer = await self.runs.GetRun(run_service_pb2.GetRunRequest(run_id=run_id))
        run: run_pb2.Run = answer.run
        return run

    async def wait(self, run_id: str) -> run_pb2.RunResult:
        """The end of a run."""
        request = run_service_pb2.WaitResultRequest(run_id=run_id, timeout_ms=int(PATIENCE_S * 1000))
        result: run_pb2.RunResult = (await self.runs.WaitResult(request)).result
        return result


@asynccontextmanager
async def open_door(address: str, *further: tuple[str, int]) -> AsyncIterator[Door]:
    """A channel of one's own to an address."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 * 1024 * 1024), *further)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield Door(
            run_service_pb2_grpc.RunServiceStub(channel),
            workflow_service_pb2_grpc.WorkflowServiceStub(channel),
            worker_service_pb2_grpc.WorkerServiceStub(channel),
            schedule_service_pb2_grpc.ScheduleServiceStub(channel),
            rate_limit_service_pb2_grpc.RateLimitServiceStub(channel),
            dispatch_service_pb2_grpc.DispatchServiceStub(channel),
            health_pb2_grpc.HealthStub(channel),
            reflection_pb2_grpc.ServerReflectionStub(channel),
        )


class RawWorker:
    """A worker that does what the test tells it to, message by message."""

    def __init__(
        self, door: Door, *served: str | workflow_pb2.WorkflowDefinition, slots: int = 10, worker_id: str = ""
    ) -> None:
        self.worker_id = worker_id or mint_id()
        definitions = [workflow(each) if isinstance(each, str) else each for each in served]
        self.hello = dispatch_pb2.Hello(worker_id=self.worker_id, name="raw", slots=slots, workflows=definitions)
        self._call = door.dispatch.Connect()
        self._kept: list[dispatch_service_pb2.ConnectResponse] = []

    async def send(self, **message: Any) -> None:
        """Sends one message, named by its field of ConnectRequest."""
        await self._call.write(dispatch_service_pb2.ConnectRequest(**message))

    async def connect(self) -> dispatch_pb2.Welcome:
        """Says Hello, and gives the answer."""
        await self.send(hello=self.hello)
        welcome: dispatch_pb2.Welcome = await self.receive("welcome")
        return welcome

    async def receive(self, kind: str) -> Any:
        """The next message of a kind; others are kept for whoever asks for them."""
        for place, message in enumerate(self._kept):
            if message.WhichOneof("message") == kind:
                return getattr(self._kept.pop(place), kind)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self._call.read()
                if message is grpc.aio.EOF:
                    raise AssertionError(f"stream ended: {await self._call.code()} {await self._call.details()}")
                if message.WhichOneof("message") == kind:
                    return getattr(message, kind)
                self._kept.append(message)

    async def assigned(self, count: int = 1) -> list[dispatch_pb2.Assignment]:
        """So many assignments, accepted."""
        found: list[dispatch_pb2.Assignment] = []
        while len(found) < count:
            found += (await self.receive("assignments")).assignments
        await self.send(report=dispatch_pb2.Report(accepted_lease_ids=[a.lease_id for a in found]))
        return found

    async def complete(self, assignment: dispatch_pb2.Assignment, output: bytes = b"1") -> int:
        """Reports an output, and gives what was made of it."""
        done = dispatch_pb2.Completed(lease_id=assignment.lease_id, run_id=assignment.run_id, output_json=output)
        await self.send(report=dispatch_pb2.Report(completed=[done]))
        return await self._outcome(assignment)

    async def complete_all(self, assignments: Sequence[dispatch_pb2.Assignment]) -> None:
        """Reports each input as its output, all in one message, and waits for the acknowledgements."""
        done = [
            dispatch_pb2.Completed(lease_id=a.lease_id, run_id=a.run_id, output_json=a.spec.input_json)
            for a in assignments
        ]
        await self.send(report=dispatch_pb2.Report(completed=done))
        open_leases = {a.lease_id for a in assignments}
        while open_leases:
            open_leases -= {ack.lease_id for ack in (await self.receive("acks")).acks}

    async def fail(
        self,
        assignment: dispatch_pb2.Assignment,
        *,
        released: bool = False,
        crash: dispatch_pb2.Crash.ValueType = dispatch_pb2.CRASH_UNSPECIFIED,
        **failure: Any,
    ) -> int:
        """Reports a failure, and gives what was made of it."""
        failed = dispatch_pb2.Failed(
            lease_id=assignment.lease_id,
            run_id=assignment.run_id,
            failure=run_pb2.Failure(**failure),
            released=released,
            crash=crash,
        )
        await self.send(report=dispatch_pb2.Report(failed=[failed]))
        return await self._outcome(assignment)

    async def ended(self) -> grpc.StatusCode:
        """How the stream ends; what still comes is dropped."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._read_to_end():
                pass
            code: grpc.StatusCode = await self._call.code()
        return code

    async def end(self) -> None:
        """Ends the stream from this side."""
        self._call.cancel()
        await self.ended()

    async def _read_to_end(self) -> bool:
        try:
            return await self._call.read() is not grpc.aio.EOF
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            return False

    async def _outcome(self, assignment: dispatch_pb2.Assignment) -> int:
        while True:
            for ack in (await self.receive("acks")).acks:
                if ack.lease_id == assignment.lease_id:
                    return int(ack.outcome)


@asynccontextmanager
async def raw_worker(
    door: Door, *served: str | workflow_pb2.WorkflowDefinition, slots: int = 10, worker_id: str = ""
) -> AsyncIterator[RawWorker]:
    """A worker that has been welcomed. At the end its stream is cut: it may be taken for alive a moment longer."""
    worker = RawWorker(door, *served, slots=slots, worker_id=worker_id)
    await worker.connect()
    try:
        yield worker
    finally:
        await worker.end()
