"""Owns what executes attempts in one process: a lifespan, and the runner inside it. On the tasks' loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.transport.io_thread import allow_sync_calls_on, forbid_sync_calls_on
from windlass.worker.lifespan import Lifespan
from windlass.worker.loop import CLEAN_UP_SECONDS
from windlass.worker.runner import Runner
from windlass.worker.surroundings import Surroundings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from windlass.worker.attempt import Reports
    from windlass.worker.processes.crew import Crew
    from windlass.worker.setup import Setup


class Execution:
    """From the opening of the lifespan to its close."""

    def __init__(self, crew: Crew, loop: asyncio.AbstractEventLoop) -> None:
        """Open nothing yet."""
        self._crew = crew
        self._loop = loop
        self._lifespan = None if crew.lifespan is None else Lifespan(crew.lifespan)
        self._runner: Runner | None = None
        self._given_up = False

    async def open(self, setup: Setup, reports: Reports, on_lost: Callable[[], None]) -> Runner:
        """Open the lifespan; give the runner.

        Args:
            setup: whose attempts they are, and how many at a time.
            reports: where they report to.
            on_lost: called when the lifespan has ended by itself.

        Raises:
            LifespanFailed: it raised, or never yielded.

        """
        forbid_sync_calls_on(self._loop)
        opened = None
        if self._lifespan is not None and not self._given_up:
            try:
                opened = await self._lifespan.open(on_lost)
            except BaseException:
                allow_sync_calls_on(self._loop)
                raise
        app = self._crew.app
        surroundings = Surroundings(opened, app.middlewares, app.dependency_overrides, self._crew.capture_logs)
        make = Runner if app.instrumentation is None else app.instrumentation.runner
        self._runner = make(
            self._crew.tasks, setup.slots, setup.worker_id, setup.labels, self._loop, reports, surroundings
        )
        self._runner.max_payload = setup.max_payload
        return self._runner

    def give_up(self) -> None:
        """Break off `open`, on the loop or before it: the lifespan is not needed any more."""
        self._given_up = True
        if self._lifespan is not None and self._runner is None:
            self._lifespan.give_up()

    async def close(self) -> None:
        """Let what was stopped clean up, and close the lifespan. Repeatable."""
        if self._runner is not None:
            await self._runner.settle(CLEAN_UP_SECONDS)
        if self._lifespan is not None:
            await self._lifespan.close()
        allow_sync_calls_on(self._loop)
