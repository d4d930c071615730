"""A dispatcher's side of a WorkerSession, in memory and with a clock that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.v1 import dispatch_pb2, dispatch_service_pb2
from windlass.worker.outcome import Completion
from windlass.worker.session import WorkerSession

if TYPE_CHECKING:
    from windlass.worker.effects import Effect


class Peer:
    """Talks to a session in whole messages. Leases are named by the test, runs `run-LEASE`."""

    def __init__(self) -> None:
        self.now = 1000.0
        hello = dispatch_pb2.Hello(worker_id="w" * 16, name="w", slots=10)
        self.session = WorkerSession(hello, lambda: self.now)

    @classmethod
    def connected(cls) -> Peer:
        """A peer whose session is open."""
        peer = cls()
        peer.session.connect()
        peer.welcome()
        return peer

    def receive(self, **message: Any) -> list[Effect]:
        """Hand over one message, named by its field of ConnectResponse."""
        return self.session.receive(dispatch_service_pb2.ConnectResponse(**message))

    def welcome(self, lost: list[str] | None = None) -> list[Effect]:
        """Heartbeats every 5 s, sessions of 15 s, a grace of 1 s, payloads of 1 KiB."""
        return self.receive(
            welcome=dispatch_pb2.Welcome(
                session_id="s",
                heartbeat_interval_ms=5000,
                session_ttl_ms=15000,
                max_payload_bytes=1024,
                accept_timeout_ms=5000,
                cancel_grace_ms=1000,
                lost_lease_ids=lost or [],
            )
        )

    def assign(self, *leases: str) -> list[Effect]:
        """Assign these leases in one batch."""
        return self.receive(
            assignments=dispatch_pb2.Assignments(
                assignments=[dispatch_pb2.Assignment(lease_id=lease, run_id=f"run-{lease}") for lease in leases]
            )
        )

    def complete(self, *leases: str, output: bytes = b"1") -> None:
        """Let these attempts end with an output."""
        self.session.finished([Completion(lease, f"run-{lease}", output) for lease in leases])

    def ack(
        self,
        *leases: str,
        outcome: dispatch_pb2.ReportOutcome.ValueType = dispatch_pb2.REPORT_OUTCOME_RECORDED,
    ) -> list[Effect]:
        """Acknowledge the outcomes of these leases."""
        return self.receive(
            acks=dispatch_pb2.Acks(acks=[dispatch_pb2.Ack(lease_id=lease, outcome=outcome) for lease in leases])
        )

    def answer(self, request: dispatch_service_pb2.ConnectRequest, lost: list[str] | None = None) -> list[Effect]:
        """Answer a heartbeat."""
        return self.receive(
            heartbeat_answer=dispatch_pb2.HeartbeatAnswer(
                sequence=request.heartbeat.sequence, lost_lease_ids=lost or []
            )
        )
