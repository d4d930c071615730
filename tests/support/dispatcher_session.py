"""Owns a worker's side of a dispatcher's session, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.v1 import dispatch_pb2, dispatch_service_pb2, workflow_pb2
from windlass_dispatcher.attempt import Attempt
from windlass_dispatcher.session import (
    WorkerSession,
)

if TYPE_CHECKING:
    from windlass_dispatcher.session import Effect


WORKER = "w" * 16


def receive(session: WorkerSession, **message: Any) -> list[Effect]:
    """Hand over one message, named by its field of ConnectRequest."""
    return session.receive(dispatch_service_pb2.ConnectRequest(**message))


def hello(**fields: Any) -> dispatch_pb2.Hello:
    """A Hello of three slots and one task."""
    given = {"worker_id": WORKER, "slots": 3, "workflows": [workflow_pb2.WorkflowDefinition(name="a")], **fields}
    return dispatch_pb2.Hello(**given)


def attempt(lease: str) -> Attempt:
    """An attempt under this lease."""
    return Attempt(f"run-{lease}", lease, 1, "default|default|a", "v1", 5, 0, b"", False, [], 0)


def opened(*leases: str) -> WorkerSession:
    """A session after its Hello, which these leases were delivered to."""
    session = WorkerSession(accept_timeout_s=5)
    receive(session, hello=hello())
    session.deliver([attempt(lease) for lease in leases], now=100.0)
    return session


def completed(lease: str, output: bytes = b"1") -> dispatch_pb2.Completed:
    """The end of an attempt that went well."""
    return dispatch_pb2.Completed(lease_id=lease, run_id=f"run-{lease}", output_json=output)
