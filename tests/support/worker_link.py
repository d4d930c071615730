"""Owns one worker's stream as the dispatcher's side sees it: what was heard, and what is said.

Decides nothing: what is answered to what is the dispatcher's business, or the test's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import grpc
from typing_extensions import override

from windlass.v1 import dispatch_pb2
from windlass.v1.dispatch_service_pb2 import ConnectRequest, ConnectResponse

if TYPE_CHECKING:
    from tests.support.loopback_server import Changes
    from windlass.v1 import run_pb2

Outcome: TypeAlias = dispatch_pb2.Completed | dispatch_pb2.Failed


class Heard(NamedTuple):
    """A message, and when it came, in seconds of the loop's clock."""

    at: float
    request: ConnectRequest


class Link:
    """One stream, from its opening to its end."""

    def __init__(self, metadata: dict[str, str | bytes], changes: Changes) -> None:
        self.metadata = metadata
        self.heard: list[Heard] = []
        self.is_over = False
        #: The worker has said that it has nothing more to say.
        self.half_closed = False
        self.outbox: asyncio.Queue[ConnectResponse | grpc.StatusCode] = asyncio.Queue()
        self._changes = changes

    @override
    def __str__(self) -> str:
        """Tell what was heard, for people."""
        return ", ".join(_briefly(each.request) for each in self.heard) or "nothing"

    # --- What was heard --------------------------------------------------------------------------

    @property
    def requests(self) -> list[ConnectRequest]:
        """All messages, in order."""
        return [each.request for each in self.heard]

    @property
    def hello(self) -> dispatch_pb2.Hello:
        """The first message."""
        assert self.heard, "the stream has not said anything"
        assert self.heard[0].request.HasField("hello"), f"the first message is no Hello: {self}"
        return self.heard[0].request.hello

    @property
    def reports(self) -> list[dispatch_pb2.Report]:
        """All reports."""
        return [each.report for each in self.requests if each.HasField("report")]

    @property
    def accepted(self) -> list[str]:
        """Leases accepted."""
        return [lease for report in self.reports for lease in report.accepted_lease_ids]

    @property
    def outcomes(self) -> list[Outcome]:
        """Outcomes, in order, each as often as it was told."""
        told: list[Outcome] = []
        for report in self.reports:
            told += report.completed
            told += report.failed
        return told

    @property
    def heartbeats(self) -> list[dispatch_pb2.Heartbeat]:
        """All heartbeats."""
        return [each.heartbeat for each in self.requests if each.HasField("heartbeat")]

    @property
    def logs(self) -> list[dispatch_pb2.TaskLog]:
        """All entries of log lines."""
        return [log for each in self.requests for log in each.logs.logs]

    @property
    def progresses(self) -> list[dispatch_pb2.TaskProgress]:
        """All that was told of how far attempts are."""
        return [each for request in self.requests for each in request.progresses.progresses]

    @property
    def refreshes(self) -> list[dispatch_pb2.TimeoutRefresh]:
        """Time limits that attempts have begun anew."""
        return [each for report in self.reports for each in report.refreshed]

    @property
    def slot_releases(self) -> list[dispatch_pb2.SlotRelease]:
        """Attempts that have given up their slots."""
        return [each for report in self.reports for each in report.released_slots]

    @property
    def labels(self) -> list[dispatch_pb2.Labels]:
        """What was said of labels that have changed."""
        return [each.labels for each in self.requests if each.HasField("labels")]

    @property
    def chunks(self) -> list[dispatch_pb2.TaskChunks]:
        """All entries of chunks of streams."""
        return [put for each in self.requests for put in each.chunks.chunks]

    def chunks_before_outcome(self, lease_id: str) -> list[dispatch_pb2.TaskChunks]:
        """Those of an attempt that came before it was told what became of it."""
        told: list[dispatch_pb2.TaskChunks] = []
        for request in self.requests:
            ended = {each.lease_id for each in request.report.completed}
            if lease_id in ended.union(each.lease_id for each in request.report.failed):
                break
            told += [put for put in request.chunks.chunks if put.lease_id == lease_id]
        return told

    @property
    def draining(self) -> bool:
        """Whether the worker has said that it drains."""
        return any(each.HasField("draining") for each in self.requests)

    def outcomes_of(self, lease_id: str) -> list[Outcome]:
        """What was told of one lease."""
        return [each for each in self.outcomes if each.lease_id == lease_id]

    def lines_of(self, lease_id: str) -> list[run_pb2.LogLine]:
        """Lines that an attempt logged."""
        return [line for log in self.logs if log.lease_id == lease_id for line in log.lines]

    def progress_of(self, lease_id: str) -> list[run_pb2.Progress]:
        """How far an attempt said that it was."""
        return [each.progress for each in self.progresses if each.lease_id == lease_id]

    # --- What is said ----------------------------------------------------------------------------

    def say(self, **message: Any) -> None:
        """Send a message, named by its field of ConnectResponse."""
        self.outbox.put_nowait(ConnectResponse(**message))

    def say_raw(self, message: bytes) -> None:
        """Send a message as it would be on the wire."""
        self.outbox.put_nowait(ConnectResponse.FromString(message))

    def assign(self, *assignments: dispatch_pb2.Assignment) -> None:
        """Assign these in one batch."""
        self.say(assignments=dispatch_pb2.Assignments(assignments=assignments))

    def acknowledge(
        self,
        *lease_ids: str,
        outcome: dispatch_pb2.ReportOutcome.ValueType = dispatch_pb2.REPORT_OUTCOME_RECORDED,
    ) -> None:
        """Acknowledge the outcomes of these leases."""
        self.say(acks=dispatch_pb2.Acks(acks=[dispatch_pb2.Ack(lease_id=each, outcome=outcome) for each in lease_ids]))

    def settle(self, lease_id: str, up_to: int, *, refused: bool = False) -> None:
        """Acknowledge an attempt's chunks before this number; `refused`: the store is full."""
        ack = dispatch_pb2.ChunksAck(lease_id=lease_id, next=up_to, refused=refused)
        self.say(acks=dispatch_pb2.Acks(chunks=[ack]))

    def cancel(self, *lease_ids: str) -> None:
        """Ask for these attempts to be cancelled."""
        self.say(cancel=dispatch_pb2.Cancel(lease_ids=lease_ids, reason="asked for"))

    def end(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """End the stream with this status, after what was said before."""
        self.outbox.put_nowait(code)

    # --- Waiting ---------------------------------------------------------------------------------

    async def outcome(self, assignment: dispatch_pb2.Assignment) -> Outcome:
        """Wait for what becomes of an attempt."""
        lease_id = assignment.lease_id
        await self._changes.until(
            lambda: self.outcomes_of(lease_id), f"a completed or failed for {assignment.task_name} (heard: {self})"
        )
        return self.outcomes_of(lease_id)[0]

    async def acceptance(self, assignment: dispatch_pb2.Assignment) -> None:
        """Wait until an attempt has been accepted."""
        await self._changes.until(
            lambda: assignment.lease_id in self.accepted, f"{assignment.task_name} accepted (heard: {self})"
        )

    async def refresh(self, assignment: dispatch_pb2.Assignment) -> dispatch_pb2.TimeoutRefresh:
        """Wait until an attempt has asked for more time."""
        lease_id = assignment.lease_id
        await self._changes.until(
            lambda: any(each.lease_id == lease_id for each in self.refreshes), f"a refreshed timeout (heard: {self})"
        )
        return next(each for each in self.refreshes if each.lease_id == lease_id)

    async def slot_release(self, assignment: dispatch_pb2.Assignment) -> dispatch_pb2.SlotRelease:
        """Wait until an attempt has given up its slot."""
        lease_id = assignment.lease_id
        await self._changes.until(
            lambda: any(each.lease_id == lease_id for each in self.slot_releases), f"a released slot (heard: {self})"
        )
        return next(each for each in self.slot_releases if each.lease_id == lease_id)

    async def heartbeat(self, more: int = 1) -> dispatch_pb2.Heartbeat:
        """Wait for so many further heartbeats; returns the last one."""
        number = len(self.heartbeats) + more
        await self._changes.until(lambda: len(self.heartbeats) >= number, f"heartbeat {number} (heard: {self})")
        return self.heartbeats[number - 1]

    async def end_of_stream(self) -> None:
        """Wait until the stream is over."""
        await self._changes.until(lambda: self.is_over, f"the end of the stream (heard: {self})")


def _briefly(request: ConnectRequest) -> str:
    match request.WhichOneof("message"):
        case "report":
            report = request.report
            refreshed = f", {len(report.refreshed)} refreshed" if report.refreshed else ""
            return f"report({len(report.accepted_lease_ids)}+{len(report.completed)}+{len(report.failed)}{refreshed})"
        case "hello":
            return f"hello(holds {len(request.hello.held_lease_ids)})"
        case "heartbeat":
            return f"heartbeat {request.heartbeat.sequence}"
        case kind:
            return kind or "an empty message"
