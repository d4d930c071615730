"""A worker whose code is replaced while its stream stays. Its own process never imports that code.

When the code is read anew is decided by who has it.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from windlass.exceptions import LifespanFailed
from windlass.transport.io_thread import io_thread
from windlass.worker.hello import boot_clock, make_hello
from windlass.worker.log_lines import show_log_lines
from windlass.worker.loop import CLEAN_UP_SECONDS
from windlass.worker.processes.children import Children
from windlass.worker.processes.nursery_process import NurseryLost, NurseryProcess
from windlass.worker.runner import DEFAULT_MAX_PAYLOAD
from windlass.worker.session import WorkerSession
from windlass.worker.setup import Setup
from windlass.worker.stream import Stream
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    from concurrent.futures import Future

    from windlass.worker.offer import Offer
    from windlass.worker.processes.child_limits import ChildLimits
    from windlass.worker.processes.crew_name import CrewName
    from windlass.worker.processes.served import Served

_log = logging.getLogger("windlass.worker")


class ReloadableWorker:
    """Executes the tasks of an app that is known by its name."""

    def __init__(
        self,
        crew: CrewName,
        name: str,
        offer: Offer,
        processes: int,
        limits: ChildLimits,
        grace: float,
    ) -> None:
        """Prepare it; imports nothing and connects to nothing yet.

        Args:
            crew: what is served.
            name: for people.
            offer: what it has for them.
            processes: children that execute, from 1 on.
            limits: when one is replaced.
            grace: seconds that what executes may take to finish, when the code changes and at the end.

        """
        self.id: Final = os.urandom(16).hex()
        self.ready: Final = threading.Event()
        self._crew = crew
        self._name = name
        self._offer = offer
        self._processes = processes
        self._limits = limits
        self._grace = grace
        self._served: Served | None = None
        self._stream: Stream | None = None
        self._children: Children | None = None
        self._running: Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it serves no more: the engine refused it, or no child can be made ready."""
        return self._running is not None and self._running.done()

    def load(self) -> Future[None]:
        """Import the code, and serve by it from now on; what went before goes on until that is ready.

        Returns:
            When it is so. Raises LifespanFailed where the code can't be imported or, the first time, no child of
            it be made ready.

        """
        return io_thread().run(self._renew() if self._children is not None else self._start())

    def stop(self) -> None:
        """Drain and end. Harmless before the start, and when it has ended."""
        io_thread().run(self._stop()).result()

    # --- On the I/O thread -----------------------------------------------------------------------

    async def _start(self) -> None:
        nursery, served = await self._import()
        show_log_lines(served.config.log_level)
        hello = make_hello(self.id, self._name, served.definitions, self._offer)
        stream = Stream(WorkerSession(hello, boot_clock), served.config, self.ready.set)
        setup = Setup(self.id, WorkerLabels(self._offer.labels), self._offer.all_slots, DEFAULT_MAX_PAYLOAD)
        children = Children(nursery, setup, self._processes, self._limits, served, stream, self._despair)
        await children.open()
        self._served, self._stream, self._children = served, stream, children
        names = ", ".join(sorted(each.name for each in served.definitions))
        _log.info("worker %s (%s) starts: %d slots, tasks: %s", self._name, self.id, self._offer.slots, names)
        self._running = io_thread().run(stream.run(children))

    async def _renew(self) -> None:
        assert self._stream is not None and self._children is not None  # noqa: S101, PT018 - it has been started
        nursery, served = await self._import()
        await self._children.renew(nursery, served, self._grace)
        if self._served is None or served.definitions != self._served.definitions:
            await self._stream.redefine(served.definitions)
        self._served = served

    async def _import(self) -> tuple[NurseryProcess, Served]:
        nursery = NurseryProcess(self._crew)
        try:
            return nursery, await nursery.load()
        except NurseryLost as error:
            raise LifespanFailed(str(error)) from None

    def _despair(self, why: str) -> None:
        _log.error("the worker ends: %s", why)
        if self._stream is not None:
            io_thread().run(self._stream.drain(0))

    async def _stop(self) -> None:
        if self._stream is not None:
            await self._stream.drain(self._grace)
        if self._children is not None:
            await self._children.settle(CLEAN_UP_SECONDS)
