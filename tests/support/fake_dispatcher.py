"""A dispatcher without an engine, for tests of the worker's transport, driven from the test's thread.

Owns only how it is reached from there; what it does is the scripted dispatcher's. Its port also
answers as an api does.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from tests.support.loopback_server import Changes, LoopbackServer
from tests.support.scripted_dispatcher import Door, ScriptedApi, ScriptedDispatcher
from windlass.config import ClientConfig
from windlass.transport.io_thread import io_thread
from windlass.v1 import dispatch_pb2
from windlass.v1.dispatch_service_pb2 import ConnectResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.worker_link import Link


class FakeDispatcher:
    """Runs on the process's I/O thread: gRPC takes one loop per process."""

    def __init__(self) -> None:
        self._changes = Changes()
        #: What it answers, and whether.
        self.script = ScriptedDispatcher(self._changes, Door(self._changes))
        self.api = ScriptedApi(self._changes, Door(self._changes))  # type: ignore[abstract] # the other calls are not made
        self._server = LoopbackServer(self.script.add_to, self.api.add_to)

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._server.address

    @property
    def links(self) -> list[Link]:
        """The streams so far."""
        return [link for link in self.script.links if link.heard]

    @property
    def hellos(self) -> list[dispatch_pb2.Hello]:
        """The first message of each stream."""
        return [link.hello for link in self.links]

    @property
    def reports(self) -> list[dispatch_pb2.Report]:
        """All that was reported so far."""
        return [report for link in self.links for report in link.reports]

    @property
    def logs(self) -> list[dispatch_pb2.TaskLog]:
        """All log lines so far."""
        return [log for link in self.links for log in link.logs]

    @property
    def heartbeats(self) -> int:
        """How many heartbeats came so far."""
        return sum(len(link.heartbeats) for link in self.links)

    @property
    def draining(self) -> bool:
        """Whether the worker has said that it drains."""
        return any(link.draining for link in self.links)

    @property
    def closed(self) -> int:
        """How many streams the worker has ended in good order."""
        return sum(link.half_closed for link in self.links)

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
        return [lease for link in self.links for lease in link.accepted]

    def config(self) -> ClientConfig:
        """Settings of a worker that finds this dispatcher through its api half."""
        return ClientConfig(api_address=self.address)

    def start(self) -> None:
        """Listen; on the same port as before, if it did."""
        io_thread().run(self._server.start()).result(10)
        self.api.addresses = self.api.addresses or [self.address]

    def stop(self) -> None:
        """Stop listening and break every stream."""
        self.break_streams()
        io_thread().run(self._server.stop()).result(10)

    def say(self, **message: Any) -> None:
        """Send a message, named by its field of ConnectResponse, on every open stream."""
        response = ConnectResponse(**message)
        io_thread().run(self._say(response)).result(10)

    def assign(self, *assignments: dispatch_pb2.Assignment) -> None:
        """Assign these in one batch."""
        self.say(assignments=dispatch_pb2.Assignments(assignments=assignments))

    def acknowledge(self, *lease_ids: str) -> None:
        """Acknowledge the outcomes of these leases as recorded."""
        recorded = dispatch_pb2.REPORT_OUTCOME_RECORDED
        acks = [dispatch_pb2.Ack(lease_id=each, outcome=recorded) for each in lease_ids]
        self.say(acks=dispatch_pb2.Acks(acks=acks))

    def break_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """End every open stream with this status."""
        io_thread().run(self.script.break_streams(code)).result(10)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that a message changes is so."""
        io_thread().run(self._changes.until(condition, "what the test waits for")).result(15)

    async def _say(self, response: ConnectResponse) -> None:
        for link in self.script.open_links:
            link.outbox.put_nowait(response)


@contextlib.contextmanager
def fake_dispatcher() -> Iterator[FakeDispatcher]:
    """Give one that listens."""
    dispatcher = FakeDispatcher()
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
