"""Owns `app.logs`: read what runs' tasks have logged, or follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.run import LogLine
from windlass.v1 import run_service_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from windlass.transport.server_stream import ServerStream
    from windlass.transport.session import Api, ClientSession


class LogsClient:
    """Log lines of runs. Every method has an `aio_` twin.

    A run keeps its last 1,000 lines, 1 MiB at the most: offsets go on counting, and the first line
    that is given may have a larger one than was asked for.
    """

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def list(self, run_id: str, offset: int = 0) -> LogLines:
        """Give the lines that are there, from the line `offset` on. Raises UnknownRun, ApiUnreachable."""
        return self._session.run_sync("logs.list", "logs.aio_list", lambda api: self._list(api, run_id, offset))

    async def aio_list(self, run_id: str, offset: int = 0) -> LogLines:
        """Do as `list`."""
        return await self._session.run_async(lambda api: self._list(api, run_id, offset))

    def tail(self, run_id: str, offset: int = 0) -> Iterator[LogLine]:
        """Give the lines from `offset` on, and each further one as it comes, until the run has ended.

        In order and without a gap but for lines that were dropped; goes on by itself where the api
        was away. Whoever stops and comes back goes on at the last line's offset + 1.

        Raises:
            UnknownRun: the engine has no such run.
            ApiUnreachable: no connection within the connect timeout.

        """
        tail = _Tail(self._session, run_id, offset)
        try:
            while lines := self._session.run_sync("logs.tail", "logs.aio_tail", tail.read):
                yield from lines
        finally:
            self._session.post(tail.close)

    async def aio_tail(self, run_id: str, offset: int = 0) -> AsyncIterator[LogLine]:
        """Do as `tail`."""
        tail = _Tail(self._session, run_id, offset)
        try:
            while lines := await self._session.run_async(tail.read):
                for line in lines:
                    yield line
        finally:
            self._session.post(tail.close)

    async def _list(self, api: Api, run_id: str, offset: int) -> LogLines:
        lines: LogLines = []
        request = run_service_pb2.ListLogsRequest(run_id=run_id, offset=offset)
        while True:
            page = await self._session.unary(api.runs.ListLogs, request)
            lines.extend(LogLine.from_proto(number, line) for number, line in enumerate(page.lines, page.first_offset))
            if not page.lines:
                return lines
            request.offset = page.next_offset


class _Tail:
    """One reader's place in a run's log. On the I/O thread."""

    def __init__(self, session: ClientSession, run_id: str, offset: int) -> None:
        self._session = session
        self._request = run_service_pb2.TailLogsRequest(run_id=run_id, offset=offset)
        self._stream: ServerStream[run_service_pb2.TailLogsResponse] | None = None

    async def read(self, api: Api) -> LogLines:
        """Wait for lines; none: the run has ended."""
        if self._stream is None:
            from windlass.transport.server_stream import ServerStream  # gRPC is loaded at the first use

            self._stream = ServerStream(
                self._session, lambda: self._session.server_stream(api.runs.TailLogs, self._request)
            )
        while (response := await self._stream.read()) is not None:
            self._request.offset = response.next_offset
            if response.lines:
                return [LogLine.from_proto(n, line) for n, line in enumerate(response.lines, response.first_offset)]
        return []

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


LogLines = list[LogLine]
