"""Owns the watching of runs: one stream for every thousand of them, read together, on the I/O thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from windlass.run import RunState
from windlass.v1 import run_service_pb2

if TYPE_CHECKING:
    from windlass.transport.server_stream import ServerStream
    from windlass.transport.session import Api, ClientSession

    Response = run_service_pb2.WatchRunsResponse

_RUNS_PER_STREAM: Final = 1000


class RunWatch:
    """What has moved since it was asked last."""

    def __init__(self, session: ClientSession, run_ids: list[str]) -> None:
        """Asks nobody yet."""
        pages = range(0, len(run_ids), _RUNS_PER_STREAM)
        self._pages: Final = [_Page(session, run_ids[first : first + _RUNS_PER_STREAM]) for first in pages]
        self._reading: dict[asyncio.Task[list[RunState]], _Page] = {}

    async def moved(self, api: Api) -> list[RunState]:
        """Wait for news; none: all have ended."""
        while self._pages:
            idle = set(self._pages) - set(self._reading.values())
            for page in idle:
                self._reading[asyncio.create_task(page.read(api))] = page
            done, _ = await asyncio.wait(self._reading, return_when=asyncio.FIRST_COMPLETED)
            states: list[RunState] = []
            for task in done:
                page = self._reading.pop(task)
                states += task.result()
                if page.has_ended:
                    self._pages.remove(page)
            if states:
                return states
        return []

    def close(self) -> None:
        """Stop watching. On the I/O thread."""
        for task in self._reading:
            task.cancel()
        for page in self._pages:
            page.close()


class _Page:
    def __init__(self, session: ClientSession, run_ids: list[str]) -> None:
        self._session = session
        self._going_on = dict.fromkeys(run_ids)
        self._told: dict[str, RunState] = {}
        self._stream: ServerStream[Response] | None = None
        self.has_ended = False

    async def read(self, api: Api) -> list[RunState]:
        """Wait for the next message; gives what of it is new."""
        if self._stream is None:
            from windlass.transport.server_stream import ServerStream  # gRPC is loaded at the first use

            self._stream = ServerStream(
                self._session, lambda: self._session.server_stream(api.runs.WatchRuns, self._request())
            )
        response = await self._stream.read()
        states = [RunState.from_proto(state) for state in response.runs] if response is not None else []
        # A stream that was opened again begins with what was told before.
        fresh = [state for state in states if self._told.get(state.id) != state]
        for state in fresh:
            self._told[state.id] = state
            if state.status.ended:
                self._going_on.pop(state.id, None)
        self.has_ended = response is None or not self._going_on
        return fresh

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _request(self) -> run_service_pb2.WatchRunsRequest:
        return run_service_pb2.WatchRunsRequest(run_ids=list(self._going_on))
