"""Owns a reader's place among what a run's attempts add: its log, or its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import grpc.aio

    from windlass.transport.server_stream import ServerStream
    from windlass.transport.session import Api, ClientSession

_Entry = TypeVar("_Entry")


class Tail(Generic[_Entry]):
    """The entries from an offset on, and each further one as it comes, until the run has ended."""

    def __init__(
        self,
        session: ClientSession,
        request: Any,
        start: Callable[[Api], grpc.aio.UnaryStreamMultiCallable[Any, Any]],
        read: Callable[[Any], list[_Entry]],
    ) -> None:
        """Ask with `request`, which keeps the offset, for what `start` gives; `read` finds entries in a response."""
        self._session: Final = session
        self._request: Final = request
        self._start: Final = start
        self._read: Final = read
        self._stream: ServerStream[Any] | None = None

    def entries(self, call: str, twin: str) -> Iterator[_Entry]:
        """Give them; `call` and `twin` are what the user has called, and should have called on a loop."""
        try:
            while entries := self._session.run_sync(call, twin, self._next):
                yield from entries
        finally:
            self._session.post(self._close)

    async def aio_entries(self) -> AsyncIterator[_Entry]:
        """Do as `entries`."""
        try:
            while entries := await self._session.run_async(self._next):
                for entry in entries:
                    yield entry
        finally:
            self._session.post(self._close)

    async def _next(self, api: Api) -> list[_Entry]:
        """Wait for entries; none: the run has ended."""
        if self._stream is None:
            from windlass.transport.server_stream import ServerStream  # gRPC is loaded at the first use

            self._stream = ServerStream(
                self._session, lambda: self._session.server_stream(self._start(api), self._request)
            )
        while (response := await self._stream.read()) is not None:
            self._request.offset = response.next_offset
            if entries := self._read(response):
                return entries
        return []

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
