"""The life of a worker: start, drain, stop.

Wires session, stream and whoever executes together, and decides when they begin and end. The stream lives
on the I/O thread, so that nothing the user's code does on its loop can stall the heartbeats; children
that execute are other processes, so that nothing at all can.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from windlass.exceptions import DuplicateTask, InvalidConfig, LifespanFailed
from windlass.placement import DEFAULT_POOL
from windlass.transport.io_thread import check_may_block, io_thread, is_connected, new_loop
from windlass.worker.execution import Execution
from windlass.worker.hello import boot_clock, make_hello
from windlass.worker.lifespan import check_lifespan
from windlass.worker.log_lines import show_log_lines
from windlass.worker.loop import CLEAN_UP_SECONDS, close_loop
from windlass.worker.offer import read_offer
from windlass.worker.processes.child_limits import read_limits
from windlass.worker.processes.children import Children
from windlass.worker.processes.crew import Crew
from windlass.worker.processes.crew_name import check_not_imported, has_module, name_of
from windlass.worker.processes.nursery_process import NurseryProcess
from windlass.worker.processes.served import Served
from windlass.worker.runner import DEFAULT_MAX_PAYLOAD
from windlass.worker.session import WorkerSession
from windlass.worker.setup import Setup
from windlass.worker.signals import taken_signals
from windlass.worker.stream import Stream
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from concurrent.futures import Future

    from windlass.client import Windlass
    from windlass.placement import LabelValue
    from windlass.runnable import Runnable
    from windlass.worker.runner import Runner
    from windlass.worker.staff import Staff

_log = logging.getLogger("windlass.worker")

DRAIN_GRACE: Final = 30.0
MOST_PROCESSES: Final = 1_000


class Worker:
    """Executes the tasks of an app. Made by `app.worker(...)`; used once."""

    def __init__(
        self,
        app: Windlass,
        name: str,
        *,
        slots: int = 100,
        pools: Mapping[str, int] | None = None,
        labels: Mapping[str, LabelValue] | None = None,
        workflows: Iterable[Runnable[Any]] | None = None,
        queues: Iterable[str] | None = None,
        lifespan: Callable[[], AsyncIterator[Any]] | None = None,
        drain_grace: float = DRAIN_GRACE,
        capture_logs: bool = True,
        processes: int | None = None,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | str | None = None,
    ) -> None:
        """Prepare a worker; connects to nothing yet.

        Args:
            app: whose tasks it executes, with whose settings it connects.
            name: for people; need not be unique.
            slots: attempts that it executes at the same time, of tasks that cost one slot each, 1 to 100,000.
            pools: slots by pool, beside `slots`, which are the pool "default".
            labels: what placement can ask for, at most 100.
            workflows: the tasks and workflows that it serves; left out, all that `app` knows when it starts.
            queues: the queues that it serves; left out, all.
            lifespan: what it opens before its first task and closes after its last; left out, `app`'s.
            drain_grace: seconds that running work gets to finish when the worker is told to stop.
            capture_logs: keep what tasks log with the standard library in the logs of their runs.
            processes: children that execute; 0: this process does. Left out, `start` has one where it can fork,
                and `aio_start` none.
            max_tasks_per_child: attempts after which a child is replaced; left out, never.
            max_memory_per_child: bytes, or "500MB", that a child may have resident before it is replaced.

        Raises:
            InvalidConfig: a value is out of its range, or the lifespan is no async generator function.

        """
        if processes is not None and (type(processes) is not int or not 0 <= processes <= MOST_PROCESSES):
            raise InvalidConfig(f"processes={processes!r}: 0 to {MOST_PROCESSES:,} were expected")
        if (lifespan := lifespan or app.lifespan) is not None:
            check_lifespan(lifespan)
        self.name: Final = name
        self.id: Final = os.urandom(16).hex()
        self._app = app
        self._offer = read_offer(slots, pools, labels, queues)
        self._workflows = None if workflows is None else list(workflows)
        self._check_costs(self._workflows or ())
        self._lifespan = lifespan
        self._processes = processes
        self._limits = read_limits(max_tasks_per_child, max_memory_per_child)
        self._drain_grace = drain_grace
        self._capture_logs = capture_logs
        self._ready = threading.Event()
        self._stream: Stream | None = None
        self._execution: Execution | None = None
        self._children: Children | None = None
        self._hopeless: LifespanFailed | None = None
        self._running: Future[None] | None = None
        self._drains: list[Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def ready(self) -> threading.Event:
        """Set once a dispatcher has welcomed the worker: from then on it gets work."""
        return self._ready

    def start(self) -> None:
        """Serve until SIGTERM or SIGINT, or until `stop` is called from another thread.

        The first signal drains: no new work, what runs may finish until the grace ends, the rest
        goes back to its queue without being charged a retry. The second one leaves at once.

        Raises:
            LifespanFailed: its lifespan raised before it yielded; it never connected.
            WindlassError: the engine refuses this worker. An engine that can't be reached is
                waited for.

        """
        check_may_block("worker.start", "worker.aio_start")
        show_log_lines(self._app.config.log_level)
        crew = self._crew()
        nursery = self._nursery_at_start(crew)
        loop = new_loop()
        with taken_signals(self._on_first_signal):
            try:
                loop.run_until_complete(self._serve(crew, nursery))
            finally:
                # Still running only where a stray asyncio task of the user's raised SystemExit.
                self.stop(grace=0)
                close_loop(loop)

    async def aio_start(self) -> None:
        """Serve inside the running process and loop; returns once it has begun. End it with `aio_stop`.

        Tasks execute on the running loop, so blocking calls of the SDK are refused on it.

        Raises:
            LifespanFailed: its lifespan raised before it yielded; it never connected.

        """
        crew = self._crew()
        await self._begin(crew, NurseryProcess(name_of(crew)) if self._processes or crew.alone else None)

    async def aio_wait(self) -> None:
        """Wait until the worker has ended.

        Raises:
            LifespanFailed: no child of it can be made ready any more.
            WindlassError: the engine refused it.

        """
        if self._running is None:
            return
        try:
            await asyncio.shield(asyncio.wrap_future(self._running))
        finally:
            if self._running.done():  # else it is the waiting that was cancelled, not the worker
                await self._close()
                _log.info("worker %s has ended", self.name)
        if self._hopeless is not None:
            raise self._hopeless

    async def aio_stop(self, grace: float | None = None) -> None:
        """Drain and end; `grace` in seconds in place of `drain_grace`. Harmless when repeated."""
        self._drain(grace)
        await self.aio_wait()

    def stop(self, grace: float | None = None, timeout: float | None = None) -> None:
        """Do as `aio_stop`, from a thread other than the worker's. Waits `timeout` seconds at most.

        Raises:
            TimeoutError: it has not ended within `timeout`.

        """
        check_may_block("worker.stop", "worker.aio_stop")
        self._drain(grace)
        if self._running is not None:
            self._running.exception(timeout)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait, in a thread, until the worker gets work; False when `timeout` seconds passed first."""
        return self._ready.wait(timeout)

    async def _serve(self, crew: Crew, nursery: NurseryProcess | None) -> None:
        await self._begin(crew, nursery)
        await self.aio_wait()

    def _nursery_at_start(self, crew: Crew) -> NurseryProcess | None:
        """Fork what children are forked from while this process can be forked; else have it imported by name."""
        on_main_thread = threading.current_thread() is threading.main_thread()
        if self._processes is None:
            self._processes = int(on_main_thread and (not is_connected() or has_module(crew)))
            if on_main_thread and not self._processes:
                _log.warning("no child processes: this process has connected already, and its app is no other module's")
        if not self._processes and not crew.alone:
            return None
        if on_main_thread and not is_connected():
            return NurseryProcess.fork(crew)
        return NurseryProcess(name_of(crew))

    async def _begin(self, crew: Crew, nursery: NurseryProcess | None) -> None:
        if self._stream is not None:
            raise InvalidConfig(f"worker {self.name!r} has been started before: make a new one")
        served = Served.of(crew)
        hello = make_hello(self.id, self.name, served.definitions, self._offer)
        session = WorkerSession(hello, boot_clock)
        self._stream = Stream(session, self._app.config, self._ready.set)
        self._loop = loop = asyncio.get_running_loop()
        setup = Setup(self.id, WorkerLabels(self._offer.labels), self._offer.all_slots, DEFAULT_MAX_PAYLOAD)
        staff: Staff | None = None
        embedded: Runner | None = None
        count = self._processes if nursery is not None and self._processes else 0
        if not count:
            self._execution = Execution(crew, loop)
            if self._drains:
                self._execution.give_up()
            staff = embedded = await self._execution.open(setup, self._stream, lambda: self._drain(None))
        if nursery is not None:
            staff = self._children = Children(
                nursery, setup, count, self._limits, served, self._stream, self._despair, embedded
            )
            await asyncio.wrap_future(io_thread().run(self._children.open()))
        assert staff is not None  # noqa: S101 - one of the two
        _log.info(
            "worker %s (%s) starts: %d slots, %d processes, tasks: %s",
            self.name,
            self.id,
            self._offer.slots,
            count,
            ", ".join(sorted(crew.runnables)) or "none",
        )
        self._running = io_thread().run(self._stream.run(staff))

    async def _close(self) -> None:
        if self._children is not None:
            await asyncio.wrap_future(io_thread().run(self._children.settle(CLEAN_UP_SECONDS)))
        if self._execution is not None:
            await self._execution.close()

    def _despair(self, why: str) -> None:
        """End, on the I/O thread: there will be no more children."""
        _log.error("the worker ends: %s", why)
        self._hopeless = LifespanFailed(why)
        self._drain(0)

    def _drain(self, grace: float | None) -> None:
        if self._running is None and self._loop is not None:
            if self._execution is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is being opened there
                    self._loop.call_soon_threadsafe(self._execution.give_up)
            if self._children is not None:
                io_thread().post(self._children.give_up)
        if self._stream is not None:
            seconds = self._drain_grace if grace is None else grace
            self._drains.append(io_thread().run(self._stream.drain(seconds)))

    def _on_first_signal(self, name: str) -> bool:
        """Drain; tell whether that was to be done now: else it is as if it were the second signal."""
        if self._drains or self._stream is None:
            return False
        # Logging here could meet itself half way through a line.
        io_thread().post(_log.info, "%s: draining for up to %g s, again to leave at once", name, self._drain_grace)
        self._drain(None)
        return True

    def _crew(self) -> Crew:
        check_not_imported()
        return Crew(self._app, self._runnables(), self._lifespan, self._capture_logs)

    def _check_costs(self, runnables: Iterable[Runnable[Any]]) -> None:
        """Refuse tasks that it says it serves and never could."""
        slots = {DEFAULT_POOL: self._offer.slots, **self._offer.pools}
        for task in (task for each in runnables for task in each.tasks):
            cost, pool = task.settings.slot_cost, task.settings.slot_pool
            if cost > slots.get(pool, 0):
                raise InvalidConfig(
                    f"task {task.name!r} takes {cost} of the pool {pool!r}, of which worker {self.name!r} has "
                    f"{slots.get(pool, 0)}: give it more, or leave the task out of workflows="
                )

    def _runnables(self) -> dict[str, Runnable[Any]]:
        if self._workflows is None:
            return dict(self._app.tasks)
        runnables: dict[str, Runnable[Any]] = {}
        for each in self._workflows:
            if runnables.setdefault(each.name, each) is not each:
                raise DuplicateTask(f"workflows= has two tasks or workflows named {each.name!r}")
        return runnables
