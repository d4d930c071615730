"""One stream to one dispatcher: one reader, one writer, from Hello until it breaks or is left.

Owns the gRPC call. What is said on it is the session's; what follows from its end the stream's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import grpc

from windlass.transport.channel import call_metadata, open_channel
from windlass.v1 import dispatch_service_pb2_grpc
from windlass.v1.dispatch_service_pb2 import ConnectResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.config import ClientConfig
    from windlass.v1 import dispatch_service_pb2
    from windlass.worker.effects import Effect
    from windlass.worker.session import WorkerSession

    Call = grpc.aio.StreamStreamCall[dispatch_service_pb2.ConnectRequest, ConnectResponse]

# How long the dispatcher may take to end a stream that we have half-closed.
CLOSE_SECONDS: Final = 1.0


class ConnectionLost(Exception):
    """The stream has ended; the message says why, for people."""


class Connection:
    """One stream. Used once, on the I/O thread."""

    def __init__(
        self,
        address: str,
        config: ClientConfig,
        session: WorkerSession,
        on_effects: Callable[[list[Effect]], None],
    ) -> None:
        """Prepare to connect to `address`; `on_effects` is called for every message received."""
        self.address = address
        self._config = config
        self._session = session
        self._on_effects = on_effects
        self._something_to_send = asyncio.Event()
        self.welcomed = False
        self._left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Send what the session has to say."""
        self._something_to_send.set()

    def leave(self, reason: str) -> None:
        """End the stream, once all is sent that there is to say. `serve` then raises ConnectionLost."""
        if not self._left.done():
            self._left.set_result(reason)
            self.wake()

    async def serve(self) -> None:
        """Connect and pass messages both ways. Never returns.

        Raises:
            ConnectionLost: it was left, ended, or never came about in time.
            AioRpcError: it broke.
            ProtocolError: the dispatcher does not keep to the contracts.

        """
        async with open_channel(self.address, self._config) as channel:
            stub = dispatch_service_pb2_grpc.DispatchServiceStub(channel)
            call: Call = stub.Connect(metadata=call_metadata(self._config))
            reader = asyncio.create_task(self._read(call))
            writer = asyncio.create_task(self._write(call))
            writer.add_done_callback(self._check_writer)
            # A dispatcher that has been stopped takes connections but never answers.
            patience = asyncio.get_running_loop().call_later(self._config.connect_timeout, self._check_greeted)
            try:
                ends: set[asyncio.Future[Any]] = {reader, self._left}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if reader.done():
                    await reader
                await self._half_close(call, reader, writer)
            finally:
                patience.cancel()
                self._session.disconnect()
                for task in (reader, writer):
                    task.cancel()
                call.cancel()
                await asyncio.gather(reader, writer, return_exceptions=True)
            raise ConnectionLost(self._left.result())

    def _check_greeted(self) -> None:
        if not self._session.is_open:
            self.leave(f"no welcome within {self._config.connect_timeout:g} s")

    def _check_writer(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled() and (error := writer.exception()) is not None:
            self.leave(f"a message could not be sent: {error!r}")

    async def _read(self, call: Call) -> None:
        session, on_effects = self._session, self._on_effects
        while isinstance(response := await call.read(), ConnectResponse):
            on_effects(session.receive(response))
        code, details = await call.code(), await call.details()
        raise ConnectionLost(f"the dispatcher ended the stream ({code.name}: {details or 'no details'})")

    async def _write(self, call: Call) -> None:
        wake, outgoing = self._something_to_send, self._session.outgoing
        # A call that is over says so to the reader, with its reason.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(self._session.connect())
            while wake.is_set() or not self._left.done():
                await wake.wait()
                wake.clear()
                for request in outgoing():
                    await call.write(request)

    async def _half_close(self, call: Call, reader: asyncio.Task[None], writer: asyncio.Task[None]) -> None:
        # Where nobody has ever answered there is nobody to tell, and telling would wait for a connection.
        if self.welcomed and not call.done():
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    # Cancelling it in the middle of a write would end the call, and lose what was being said.
                    await asyncio.wait({writer})
                    await call.done_writing()
                    await asyncio.wait({reader})
