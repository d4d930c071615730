"""Owns the connection of one client to the api: connects, writes, reads, connects again.

What is sent when is the ledger's decision; here is only its I/O.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import grpc
import grpc.aio

from windlass.exceptions import (
    ApiUnreachable,
    ClientClosed,
    EngineBusy,
    SlowReader,
    Unauthorized,
    WindlassError,
)
from windlass.transport.channel import call_metadata, open_channel
from windlass.transport.io_thread import IoThread, check_may_block, io_thread
from windlass.transport.ledger import Ledger
from windlass.transport.rpc_status import from_rpc_error, unreachable
from windlass.v1.rate_limit_service_pb2_grpc import RateLimitServiceStub
from windlass.v1.run_service_pb2 import SessionRequest, SessionResponse
from windlass.v1.run_service_pb2_grpc import RunServiceStub
from windlass.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from windlass.v1.token_service_pb2_grpc import TokenServiceStub
from windlass.v1.worker_service_pb2_grpc import WorkerServiceStub
from windlass.v1.workflow_service_pb2_grpc import WorkflowServiceStub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from windlass.config import ClientConfig
    from windlass.transport.call import Pending
    from windlass.v1.rate_limit_service_pb2_grpc import RateLimitServiceAsyncStub
    from windlass.v1.run_service_pb2_grpc import RunServiceAsyncStub
    from windlass.v1.schedule_service_pb2_grpc import ScheduleServiceAsyncStub
    from windlass.v1.token_service_pb2_grpc import TokenServiceAsyncStub
    from windlass.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub
    from windlass.v1.workflow_service_pb2_grpc import WorkflowServiceAsyncStub

_T = TypeVar("_T")
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Paged = TypeVar("_Paged", bound="_AsksForPages")
_PageT = TypeVar("_PageT", bound="_Page")
_Stream = grpc.aio.StreamStreamCall[SessionRequest, SessionResponse]

_log = logging.getLogger("windlass.session")

FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 2.0
_UNARY_SECONDS: Final = 30.0
_LARGEST_PAGE: Final = 1000

#: The peer, or the way to it, may be well again soon; anything else would fail the same way again.
PASSING: Final = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


def may_pass(code: grpc.StatusCode, error: WindlassError) -> bool:
    """Tell whether the next try, here or at another replica, may end better."""
    return code in PASSING or isinstance(error, EngineBusy | SlowReader)


class _AsksForPages(Protocol):
    page_size: int
    page_token: str


class _Page(Protocol):
    next_page_token: str


class Api:
    """The api's services over one channel. Lives on the I/O thread."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Make the stubs; nothing is sent."""
        self.channel: Final = channel
        self.runs: Final[RunServiceAsyncStub] = RunServiceStub(channel)
        self.workflows: Final[WorkflowServiceAsyncStub] = WorkflowServiceStub(channel)
        self.workers: Final[WorkerServiceAsyncStub] = WorkerServiceStub(channel)
        self.rate_limits: Final[RateLimitServiceAsyncStub] = RateLimitServiceStub(channel)
        self.schedules: Final[ScheduleServiceAsyncStub] = ScheduleServiceStub(channel)
        self.tokens: Final[TokenServiceAsyncStub] = TokenServiceStub(channel)


class ClientSession:
    """Submits, results and unary calls of one client, from any thread and loop."""

    def __init__(self, config: ClientConfig) -> None:
        """Connects at the first use."""
        self._config = config
        self._address = config.api_address
        self._thread: IoThread | None = None
        self._api: Api | None = None
        self._ledger: Final = Ledger(self._call_later)
        self._serving: asyncio.Task[None] | None = None
        self._stream: _Stream | None = None
        self._more_to_send: asyncio.Future[None] | None = None
        self._was_connected = False
        self._was_answered = False  # on the stream that stands now
        self._closed = False

    @property
    def address(self) -> str:
        """The api's, as it was set."""
        return self._address

    @property
    def connect_timeout(self) -> float:
        """Seconds that the first connection may take."""
        return self._config.connect_timeout

    # --- from any thread -------------------------------------------------------------------------

    def submit(self, items: list[Pending]) -> None:
        """Hand runs over to be submitted. Never blocks."""
        self._io().post(self._on_submit, items)

    def watch(self, items: list[Pending]) -> None:
        """Hand over runs whose end is wanted. Never blocks."""
        self._io().post(self._on_watch, items)

    def forget(self, items: list[Pending]) -> None:
        """Say that nobody waits for these any more. Never blocks."""
        for item in items:
            item.call.abandoned = True
        self._io().post(self._ledger.forget, items)

    def run_sync(self, call: str, twin: str, make: Callable[[Api], Coroutine[Any, Any, _T]]) -> _T:
        """Run `make(api)` on the I/O thread and block until it has ended."""
        check_may_block(call, twin)
        return self._io().run(self._with_api(make)).result()

    async def run_async(self, make: Callable[[Api], Coroutine[Any, Any, _T]]) -> _T:
        """Run `make(api)` on the I/O thread, awaited on the caller's loop."""
        return await asyncio.wrap_future(self._io().run(self._with_api(make)))

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what is not acknowledged, then disconnect; once is enough."""
        if self._begin_close() is not None:
            self._io().run(self._close(timeout)).result()

    async def aio_close(self, timeout: float) -> None:
        """Do as `close`."""
        if self._begin_close() is not None:
            await asyncio.wrap_future(self._io().run(self._close(timeout)))

    def server_stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> grpc.aio.UnaryStreamCall[_Request, _Response]:
        """Begin one call that streams. On the I/O thread."""
        return method(request, metadata=call_metadata(self._config))

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have `function(*args)` called on the I/O thread soon, if it was ever used. Never blocks."""
        if self._thread is not None:
            self._thread.post(function, *args)

    async def unary(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        """Make one call, again while the api is away, up to the connect timeout. On the I/O thread."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.connect_timeout
        delay = FIRST_DELAY
        while True:
            try:
                return await method(request, metadata=call_metadata(self._config), timeout=_UNARY_SECONDS)
            except grpc.aio.AioRpcError as error:
                pause = random.uniform(delay / 2, delay)
                if error.code() is not grpc.StatusCode.UNAVAILABLE or loop.time() + pause > deadline:
                    raise from_rpc_error(error, self._address) from None
            await asyncio.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)

    async def listed(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Paged, _PageT],
        request: _Paged,
        items: Callable[[_PageT], Iterable[_T]],
        limit: int | None = None,
    ) -> list[_T]:
        """Give what is on all pages, at most `limit`, each called for as `unary` does. Changes `request`."""
        found: list[_T] = []
        while limit is None or len(found) < limit:
            if limit is not None:
                request.page_size = min(limit - len(found), _LARGEST_PAGE)
            page = await self.unary(method, request)
            found.extend(items(page))
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found

    # --- on the I/O thread -----------------------------------------------------------------------

    def _io(self) -> IoThread:
        thread = self._thread
        if thread is None or thread is not io_thread():
            if self._closed:
                raise ClientClosed("this client has been closed: make another Windlass()")
            thread = self._thread = io_thread()
            thread.at_exit(self._close_at_exit)
        elif self._closed:
            raise ClientClosed("this client has been closed: make another Windlass()")
        return thread

    def _on_submit(self, items: list[Pending]) -> None:
        self._ledger.add(items)
        self._go()

    def _on_watch(self, items: list[Pending]) -> None:
        for item in items:
            self._ledger.watch(item)
        self._go()

    def _go(self) -> None:
        """See to it that the writer looks at the ledger, and that there is a writer."""
        if self._serving is None:
            loop = asyncio.get_running_loop()
            self._serving = loop.create_task(self._serve())
        waiting = self._more_to_send
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> object:
        def then_go() -> None:
            call()
            self._go()

        return asyncio.get_running_loop().call_later(seconds, then_go)

    async def _with_api(self, make: Callable[[Api], Awaitable[_T]]) -> _T:
        return await make(self._open())

    def _open(self) -> Api:
        if self._api is None:
            self._api = Api(open_channel(self._address, self._config))
        return self._api

    async def _serve(self) -> None:
        """Keep a stream open while anybody needs one."""
        try:
            await self._keep_connected()
        except WindlassError as error:
            self._ledger.fail_all(error)
        except Exception as error:  # noqa: BLE001 - the edge of a loop
            _log.exception("the session with %s failed", self._address)
            self._ledger.fail_all(WindlassError(f"the session failed: {error!r}"))
        finally:
            self._serving = None

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = None if self._was_connected else loop.time() + self._config.connect_timeout
        delay = FIRST_DELAY
        while self._ledger.has_work and not self._closed:
            connected, error = await self._talk(deadline)
            self._ledger.disconnected()
            if connected:
                deadline, delay = None, FIRST_DELAY
            pause = random.uniform(delay / 2, delay)
            if deadline is not None and loop.time() + pause >= deadline:
                raise error
            await asyncio.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _talk(self, deadline: float | None) -> tuple[bool, WindlassError]:
        """Live through one stream. Gives whether it ever stood, and why it ended where that may pass.

        Raises:
            WindlassError: the peer will not answer any better the next time.

        """
        stream: _Stream = self._open().runs.Session(metadata=call_metadata(self._config))
        try:
            async with asyncio.timeout_at(deadline):
                await stream.wait_for_connection()
        except TimeoutError:
            stream.cancel()
            return False, unreachable(self._address, "a connection is accepted there, but nothing answers")
        except grpc.aio.AioRpcError as error:
            self._was_answered = False
            return False, self._passing(error)
        self._stream = stream
        self._was_answered = False
        writer = asyncio.get_running_loop().create_task(self._write(stream))
        try:
            await self._read(stream)
            return self._was_connected, ApiUnreachable("the api ended the session", address=self._address)
        except grpc.aio.AioRpcError as error:
            typed = self._passing(error)
            if self._was_connected and self._ledger.has_work:
                _log.warning("lost the api at %s (%s): calls wait until it is back", self._address, error.details())
            return self._was_connected, typed
        finally:
            self._stream = None
            writer.cancel()
            stream.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def _passing(self, error: grpc.aio.AioRpcError) -> WindlassError:
        typed = from_rpc_error(error, self._address)
        if may_pass(error.code(), typed):
            return typed
        if isinstance(typed, Unauthorized) and self._was_answered:
            return typed  # its token has ended: there may be another one by now, and if not, that is said at once
        if isinstance(typed, ApiUnreachable | Unauthorized):
            raise typed
        _log.warning("the api at %s broke the session off: %s", self._address, typed)
        self._ledger.fail_sent(typed)
        return typed

    async def _read(self, stream: _Stream) -> None:
        ledger = self._ledger
        read = stream.read
        while True:
            response = await read()
            if not isinstance(response, SessionResponse):
                return  # grpc.aio.EOF
            self._was_connected = self._was_answered = True
            ledger.receive(response)
            waiting = self._more_to_send
            if waiting is not None and ledger.has_request and not waiting.done():
                waiting.set_result(None)

    async def _write(self, stream: _Stream) -> None:
        """Send what has gathered, again and again: each message takes all that came meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            request = self._ledger.next_request()
            if request is None:
                self._more_to_send = loop.create_future()
                await self._more_to_send
                continue
            try:
                await stream.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reader is told why

    # --- the end ---------------------------------------------------------------------------------

    def _begin_close(self) -> IoThread | None:
        thread = self._thread
        if self._closed or thread is None:
            self._closed = True
            return None
        return thread

    async def _close(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self._ledger.is_owed_acknowledgements and loop.time() < deadline:
            self._go()
            await asyncio.sleep(_FLUSH_LOOK)
        self._closed = True
        if self._thread is not None:
            self._thread.forget_at_exit(self._close_at_exit)
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        self._ledger.fail_all(ClientClosed("the client was closed before this was answered"))
        if self._api is not None:
            await self._api.channel.close()
            self._api = None

    async def _close_at_exit(self) -> None:
        await self._close(0.0)


_FLUSH_LOOK: Final = 0.005
