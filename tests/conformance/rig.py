"""Owns what one case is played on: an api, dispatchers, and the worker processes that it starts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING

import grpc

from tests.conformance import work
from tests.conformance.worker_program import WorkerProgram
from tests.support.loopback_server import Changes
from tests.support.scripted_dispatcher import Door, ScriptedApi, ScriptedDispatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.support.worker_link import Link

#: Seconds that a worker may take for what is waited for, its start included, unless it is said otherwise.
PATIENCE = 15.0
SLOTS = 4


class Rig:
    """One case's own world."""

    def __init__(self, command: Sequence[str], patience: float) -> None:
        """Use `rig`."""
        self._command = command
        self._changes = Changes(patience)
        self.token = f"wlt_{secrets.token_urlsafe(32)}"
        self._door = Door(self._changes, self.token)
        self.api = ScriptedApi(self._changes, self._door)  # type: ignore[abstract] # the other calls are not made
        self.dispatchers: list[ScriptedDispatcher] = []
        self.workers: list[WorkerProgram] = []

    @property
    def dispatcher(self) -> ScriptedDispatcher:
        """The first dispatcher."""
        return self.dispatchers[0]

    async def add_dispatcher(self) -> ScriptedDispatcher:
        """Start a dispatcher, and have the api name it after the others."""
        dispatcher = ScriptedDispatcher(self._changes, self._door)
        # Short, so that no case waits for long; and still far from what a busy machine mistakes.
        dispatcher.welcome.heartbeat_interval_ms = 1_000
        dispatcher.welcome.session_ttl_ms = 10_000
        dispatcher.welcome.cancel_grace_ms = 200
        await dispatcher.server.start()
        self.dispatchers.append(dispatcher)
        self.api.addresses.append(dispatcher.server.address)
        return dispatcher

    async def start_worker(self, *, slots: int = SLOTS, may_end: bool = False, **environment: str) -> WorkerProgram:
        """Start a worker process as the contract says; `environment` comes on top.

        Where it may not end by itself, its end lets all that is waited for fail.
        """
        variables = {
            "WINDLASS_API_ADDRESS": self.api.server.address,
            "WINDLASS_TOKEN": self.token,
            "CONFORMANCE_SLOTS": str(slots),
            **environment,
        }
        worker = await WorkerProgram.started(self._command, variables, self._changes)
        worker.may_end = may_end
        self.workers.append(worker)
        return worker

    async def connect(self, *, slots: int = SLOTS, **environment: str) -> Link:
        """Start a worker; returns its stream to the first dispatcher, which has welcomed it."""
        await self.start_worker(slots=slots, may_end=False, **environment)
        return await self.dispatcher.link(1)

    async def cut(self, link: Link, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> Link:
        """End a stream; returns the next one that the worker opens to the same dispatcher."""
        number = len(self.dispatcher.links) + 1
        link.end(code)
        return await self.dispatcher.link(number)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what a message, or a worker's end, changes."""
        await self._changes.until(condition, what)

    async def end_of(self, worker: WorkerProgram) -> int:
        """Wait for the end of a worker that was told to end; returns its exit status."""
        await self.until(lambda: worker.status is not None, "the end of the worker process")
        assert worker.status is not None
        return worker.status

    def now(self) -> float:
        """Seconds of the clock that messages are noted by."""
        return asyncio.get_running_loop().time()

    def wall_clock_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    async def let_time_pass(self, milliseconds: int) -> None:
        """Let time itself be what happens: for rules that say what must not be said meanwhile."""
        await asyncio.sleep(milliseconds / 1000)

    async def execute_for(self, link: Link, milliseconds: int) -> None:
        """Wait until the worker has executed another attempt of so many milliseconds from start to end.

        Whatever else it was going to say by then, it has said.
        """
        attempt = work.hold(milliseconds)
        link.assign(attempt)
        work.expect_output(await link.outcome(attempt), {"held": milliseconds})


@contextlib.asynccontextmanager
async def rig(command: Sequence[str], patience: float) -> AsyncIterator[Rig]:
    """Give a rig with an api and one dispatcher; takes down all that was started on it."""
    each = Rig(command, patience)
    await each.api.server.start()
    try:
        await each.add_dispatcher()
        yield each
    finally:
        for worker in each.workers:
            await worker.close()
        for server in (*(dispatcher.server for dispatcher in each.dispatchers), each.api.server):
            await server.stop()
