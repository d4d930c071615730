"""Owns `app.logs`: read what runs' tasks have logged, or follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.run import LogLine
from windlass.tailing import Tail
from windlass.v1 import run_service_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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
        return self._tail(run_id, offset).entries("logs.tail", "logs.aio_tail")

    def aio_tail(self, run_id: str, offset: int = 0) -> AsyncIterator[LogLine]:
        """Do as `tail`."""
        return self._tail(run_id, offset).aio_entries()

    def _tail(self, run_id: str, offset: int) -> Tail[LogLine]:
        request = run_service_pb2.TailLogsRequest(run_id=run_id, offset=offset)
        return Tail(self._session, request, lambda api: api.runs.TailLogs, _read)

    async def _list(self, api: Api, run_id: str, offset: int) -> LogLines:
        lines: LogLines = []
        request = run_service_pb2.ListLogsRequest(run_id=run_id, offset=offset)
        while True:
            page = await self._session.unary(api.runs.ListLogs, request)
            lines.extend(LogLine.from_proto(number, line) for number, line in enumerate(page.lines, page.first_offset))
            if not page.lines:
                return lines
            request.offset = page.next_offset


def _read(response: run_service_pb2.TailLogsResponse) -> LogLines:
    return [LogLine.from_proto(number, line) for number, line in enumerate(response.lines, response.first_offset)]


LogLines = list[LogLine]
