"""Owns one client's Session stream: requests in, answers and results out, both in batches.

What waits here for the client is bounded. Of results past a number of bytes only the ids are kept, and
the store is asked for the rest when their turn comes; requests are read no faster than their answers
are taken; a client that takes nothing at all is cut off.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

import grpc

from windlass.v1 import run_service_pb2
from windlass_api.submits import Submits
from windlass_api.waiting import End, Waiting
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.access import SESSION_REGISTER, SESSION_SUBMIT, SESSION_WATCH, Principal
from windlass_core.domain.errors import (
    EngineError,
    ProtocolError,
    ScopeMissing,
    SlowReader,
    StoreUnavailable,
)
from windlass_core.domain.limits import check_count
from windlass_core.rpc.outlet import Outlet
from windlass_core.rpc.status import to_detail

Response = run_service_pb2.SessionResponse
_EOF: Any = grpc.aio.EOF
Context = grpc.aio.ServicerContext[run_service_pb2.SessionRequest, run_service_pb2.SessionResponse]

_RESULT_BYTES_PER_MESSAGE = 2 * 1024 * 1024
# Requests whose answers the client has not taken yet; further ones are left unread.
MAX_OPEN_REQUESTS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept for a client that does not read, and for how long."""

    unread_bytes: int
    unread_s: float


class ClientSession:
    """One stream of one client process."""

    def __init__(
        self,
        context: Context,
        principal: Principal,
        submits: Submits,
        waiting: Waiting,
        definitions: DefinitionCache,
        bounds: Bounds,
    ) -> None:
        self._bounds = bounds
        self._context = context
        self._principal = principal
        self._namespace = principal.namespace
        self._submits = submits
        self._waiting = waiting
        self._definitions = definitions
        self._watched: set[str] = set()
        self._answers: deque[Any] = deque()
        self._results: deque[End] = deque()
        # What the results in there take up.
        self.unread_bytes = 0
        # Requests read whose answers have not been written.
        self._open = 0
        self._answered = asyncio.Event()
        self._ready = asyncio.Event()
        self._outlet: Outlet[Response] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended: EngineError | None = None

    async def run(self, age_s: float) -> None:
        """Serves until either side ends, or for `age_s`. Raises the EngineError that ended it.

        The client then opens another, maybe elsewhere, and repeats what had no answer.
        """
        outlet = self._outlet = Outlet(self._context, self._bounds.unread_s)
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write(outlet))
        ends: set[asyncio.Future[None]] = {reader, writer, outlet.blocked}
        try:
            done, _ = await asyncio.wait(ends, timeout=age_s, return_when=asyncio.FIRST_COMPLETED)
            if outlet.blocked in done:
                raise self._ended or SlowReader("the client does not read what it is sent: connect again")
            for task in done:
                task.result()
        finally:
            outlet.close()
            open_tasks = (reader, writer, *self._under_way)
            for task in open_tasks:
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)
            self._waiting.forget(self._namespace, self._watched, self._tell)

    def end(self, error: EngineError) -> None:
        """Ends the stream, after what is queued."""
        self._ended = self._ended or error
        if self._outlet is not None:
            self._outlet.hurry()
        self._ready.set()

    async def _read(self) -> None:
        while (request := await self._context.read()) is not _EOF:
            self._open += 1
            match request.WhichOneof("message"):
                case "submit":
                    # Not awaited: what follows may gather with it into one batch.
                    task = asyncio.create_task(self._submit(request.request_id, request.submit))
                    self._under_way.add(task)
                    task.add_done_callback(self._submit_ended)
                case "subscribe":
                    await self._subscribe(request.request_id, list(request.subscribe.run_ids))
                case "register":
                    await self._register(request.request_id, request.register)
                case _:
                    raise ProtocolError("expected submit, subscribe or register, got none")
            while self._open >= MAX_OPEN_REQUESTS:
                self._answered.clear()
                await self._answered.wait()
            await self._submits.room()

    async def _submit(self, request_id: int, submit: run_service_pb2.SessionSubmit) -> None:
        try:
            self._principal.check(SESSION_SUBMIT, "submitting")
            if submit.subscribe:
                self._principal.check(SESSION_WATCH, "waiting for the end of runs")
        except ScopeMissing as error:
            refused = [run_service_pb2.SubmitOutcome(run_id=r.run_id, error=to_detail(error)) for r in submit.runs]
            self._answer(request_id=request_id, submitted=run_service_pb2.SubmitRunsResponse(outcomes=refused))
            return
        begun: list[str] = []

        def watch(run_id: str) -> None:
            begun.append(run_id)
            self._watch(run_id)

        outcomes = await self._submits.submit(self._namespace, submit.runs, watch=watch if submit.subscribe else None)
        if begun and any(outcome.duplicate or outcome.HasField("error") for outcome in outcomes):
            for run_id in {*begun} - {outcome.run_id for outcome in outcomes if not outcome.HasField("error")}:
                self._unwatch(run_id)
        submitted = run_service_pb2.SubmitRunsResponse(outcomes=outcomes)
        self._answer(request_id=request_id, submitted=submitted)

    def _submit_ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, EngineError):
                error = ProtocolError(f"submit failed: {error!r}")
            self.end(error)

    async def _subscribe(self, request_id: int, run_ids: list[str]) -> None:
        check_count(run_ids, "subscribe.run_ids")
        try:
            self._principal.check(SESSION_WATCH, "waiting for the end of runs")
        except ScopeMissing as error:
            refused = run_service_pb2.SessionSubscribed(error=to_detail(error))
            self._answer(request_id=request_id, subscribed=refused)
            return
        for run_id in run_ids:
            self._watch(run_id)
        unknown = await self._waiting.watch(self._namespace, run_ids)
        for run_id in unknown:
            self._unwatch(run_id)
        subscribed = run_service_pb2.SessionSubscribed(unknown_run_ids=unknown)
        self._answer(request_id=request_id, subscribed=subscribed)

    async def _register(self, request_id: int, register: run_service_pb2.SessionRegister) -> None:
        registered = run_service_pb2.SessionRegistered()
        try:
            self._principal.check(SESSION_REGISTER, "registering workflows")
            definitions = await self._definitions.register(self._namespace, register.workflows, "register.workflows")
            registered.versions.extend(d.version for d in definitions)
        except EngineError as error:
            registered.error.CopyFrom(to_detail(error))
        self._answer(request_id=request_id, registered=registered)

    def _watch(self, run_id: str) -> None:
        if run_id not in self._watched:
            self._watched.add(run_id)
            self._waiting.add(self._namespace, run_id, self._tell)

    def _unwatch(self, run_id: str) -> None:
        self._watched.discard(run_id)
        self._waiting.remove(self._namespace, run_id, self._tell)

    def _tell(self, end: End | None) -> None:
        if end is None:
            self.end(StoreUnavailable("the store has lost runs that are waited for: ask for them again"))
            return
        self._watched.discard(end.run_id)
        if self._ended is not None:
            return  # the client subscribes again
        if end.result is not None:
            if self.unread_bytes + end.size > self._bounds.unread_bytes:
                end = End(end.run_id, None, end.size)
            else:
                self.unread_bytes += end.size
        self._results.append(end)
        self._ready.set()

    def _answer(self, **answer: Any) -> None:
        self._answers.append(answer)
        self._ready.set()

    async def _write(self, outlet: Outlet[Response]) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._answers or self._results:
                if self._answers:
                    await outlet.write(Response(**self._answers.popleft()))
                    self._open -= 1
                    self._answered.set()
                if self._results:
                    await self._write_results(outlet, self._take_results())
            if self._ended is not None:
                raise self._ended

    async def _write_results(self, outlet: Outlet[Response], ends: list[End]) -> None:
        large = [end.run_id for end in ends if end.result is None]
        read = iter(await self._waiting.read(large) if large else ())
        results = [end.result or next(read) for end in ends]
        told = [result for result in results if result is not None]
        if told:
            await outlet.write(Response(results=run_service_pb2.SessionResults(results=told)))
        if len(told) < len(ends):
            gone = [end.run_id for end, result in zip(ends, results, strict=True) if result is None]
            await outlet.write(Response(subscribed=run_service_pb2.SessionSubscribed(unknown_run_ids=gone)))

    def _take_results(self) -> list[End]:
        taken: list[End] = []
        room = _RESULT_BYTES_PER_MESSAGE
        while self._results:
            room -= self._results[0].size
            if room < 0 and taken:
                break
            end = self._results.popleft()
            if end.result is not None:
                self.unread_bytes -= end.size
            taken.append(end)
        return taken
