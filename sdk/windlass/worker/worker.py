"""The life of a worker: start, signals, drain, stop.

Wires session, stream and runner together and decides when they begin and end. The stream lives on
the I/O thread, so that nothing the user's code does on its loop can stall the heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, NoReturn

from windlass.exceptions import DuplicateTask, InvalidConfig
from windlass.placement import DEFAULT_POOL, MOST_SLOTS, read_pools, read_worker_labels
from windlass.transport.io_thread import (
    allow_sync_calls_on,
    check_may_block,
    forbid_sync_calls_on,
    io_thread,
)
from windlass.v1 import dispatch_pb2
from windlass.worker.lifespan import Lifespan
from windlass.worker.runner import Runner
from windlass.worker.session import WorkerSession
from windlass.worker.stream import Stream
from windlass.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from types import FrameType

    from windlass.client import Windlass
    from windlass.placement import LabelValue
    from windlass.task import Task

_log = logging.getLogger("windlass.worker")

DRAIN_GRACE: Final = 30.0
# How long async tasks that were cancelled at the end of a drain may take to clean up.
CLEAN_UP_SECONDS: Final = 1.0


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
        workflows: Iterable[Task] | None = None,
        queues: Iterable[str] | None = None,
        lifespan: Callable[[], AsyncIterator[Any]] | None = None,
        drain_grace: float = DRAIN_GRACE,
        capture_logs: bool = True,
    ) -> None:
        """Prepare a worker; connects to nothing yet.

        Args:
            app: whose tasks it executes, with whose settings it connects.
            name: for people; need not be unique.
            slots: attempts that it executes at the same time, of tasks that cost one slot each, 1 to 100,000.
            pools: slots by pool, beside `slots`, which are the pool "default".
            labels: what placement can ask for, at most 100.
            workflows: the tasks that it serves; left out, all that `app` knows when it starts.
            queues: the queues that it serves; left out, all.
            lifespan: what it opens before its first task and closes after its last; left out, `app`'s.
            drain_grace: seconds that running work gets to finish when the worker is told to stop.
            capture_logs: keep what tasks log with the standard library in the logs of their runs.

        Raises:
            InvalidConfig: a value is out of its range, or the lifespan is no async generator function.

        """
        if isinstance(slots, bool) or not 1 <= slots <= MOST_SLOTS:
            raise InvalidConfig(f"slots={slots!r}: 1 to {MOST_SLOTS:,} were expected")
        if isinstance(queues, str):
            raise InvalidConfig(f"queues={queues!r}: a list of names was expected")
        self.name: Final = name
        self.id: Final = os.urandom(16).hex()
        self._app = app
        self._slots = slots
        try:
            self._labels = read_worker_labels(labels)
            self._pools = read_pools(pools)
        except (TypeError, ValueError) as error:
            raise InvalidConfig(str(error)) from None
        self._workflows = None if workflows is None else list(workflows)
        self._check_costs(self._workflows or ())
        self._queues = list(queues or ())
        lifespan = lifespan or app.lifespan
        self._lifespan = None if lifespan is None else Lifespan(lifespan)
        self._drain_grace = drain_grace
        self._capture_logs = capture_logs
        self._ready = threading.Event()
        self._stream: Stream | None = None
        self._runner: Runner | None = None
        self._running: Future[None] | None = None
        self._drains: list[Future[None]] = []
        self._second_signal: _SecondSignal | None = None
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
        _show_log_lines(self._app.config.log_level)
        loop = _new_loop()
        with self._signals():
            try:
                loop.run_until_complete(self._serve())
            finally:
                # Still running only where a stray asyncio task of the user's raised SystemExit.
                self.stop(grace=0)
                _close(loop)

    async def aio_start(self) -> None:
        """Serve inside the running process and loop; returns once it has begun. End it with `aio_stop`.

        Tasks execute on the running loop, so blocking calls of the SDK are refused on it.

        Raises:
            LifespanFailed: its lifespan raised before it yielded; it never connected.

        """
        if self._stream is not None:
            raise InvalidConfig(f"worker {self.name!r} has been started before: make a new one")
        loop = asyncio.get_running_loop()
        tasks = self._tasks()
        session = WorkerSession(self._hello(tasks.values()), _clock)
        self._stream = Stream(session, self._app.config, self._ready.set)
        self._loop = loop
        forbid_sync_calls_on(loop)
        lifespan = await self._open_lifespan(loop)
        app = self._app
        surroundings = Surroundings(lifespan, app.middlewares, app.dependency_overrides, self._capture_logs)
        make = Runner if self._app.instrumentation is None else self._app.instrumentation.runner
        slots = self._slots + sum(self._pools.values())
        self._runner = make(tasks, slots, self.id, self._labels, loop, self._stream, surroundings)
        _log.info(
            "worker %s (%s) starts: %d slots, tasks: %s",
            self.name,
            self.id,
            self._slots,
            ", ".join(sorted(tasks)) or "none",
        )
        self._running = io_thread().run(self._stream.run(self._runner))

    async def aio_wait(self) -> None:
        """Wait until the worker has ended. Raises what ended it, if the engine refused it."""
        if self._running is None or self._runner is None or self._loop is None:
            return
        try:
            await asyncio.shield(asyncio.wrap_future(self._running))
        finally:
            if self._running.done():  # else it is the waiting that was cancelled, not the worker
                await self._runner.settle(CLEAN_UP_SECONDS)
                if self._lifespan is not None:
                    await self._lifespan.close()
                allow_sync_calls_on(self._loop)
                _log.info("worker %s has ended", self.name)

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

    async def _serve(self) -> None:
        await self.aio_start()
        await self.aio_wait()

    async def _open_lifespan(self, loop: asyncio.AbstractEventLoop) -> Any:
        if self._lifespan is None or self._drains:
            return None
        try:
            return await self._lifespan.open(lambda: self._drain(None))
        except BaseException:
            allow_sync_calls_on(loop)
            raise

    def _drain(self, grace: float | None) -> None:
        if self._lifespan is not None and self._runner is None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is being opened there
                self._loop.call_soon_threadsafe(self._lifespan.give_up)
        if self._stream is not None:
            seconds = self._drain_grace if grace is None else grace
            self._drains.append(io_thread().run(self._stream.drain(seconds)))

    def _check_costs(self, tasks: Iterable[Task]) -> None:
        """Refuse tasks that it says it serves and never could."""
        slots = {DEFAULT_POOL: self._slots, **self._pools}
        for task in tasks:
            cost, pool = task.settings.slot_cost, task.settings.slot_pool
            if cost > slots.get(pool, 0):
                raise InvalidConfig(
                    f"task {task.name!r} takes {cost} of the pool {pool!r}, of which worker {self.name!r} has "
                    f"{slots.get(pool, 0)}: give it more, or leave the task out of workflows="
                )

    def _tasks(self) -> dict[str, Task]:
        if self._workflows is None:
            return dict(self._app.tasks)
        tasks: dict[str, Task] = {}
        for task in self._workflows:
            if tasks.setdefault(task.name, task) is not task:
                raise DuplicateTask(f"workflows= has two tasks named {task.name!r}")
        return tasks

    def _hello(self, tasks: Iterable[Task]) -> dispatch_pb2.Hello:
        return dispatch_pb2.Hello(
            worker_id=self.id,
            name=self.name,
            sdk=f"python {_sdk_version()}",
            host=f"{socket.gethostname()}:{os.getpid()}",
            labels=self._labels,
            slots=self._slots,
            slot_pools=self._pools,
            queues=self._queues,
            workflows=[task.definition() for task in tasks],
        )

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT; only the main thread gets any.

        Python's own handlers, not the loop's: they are called even while a task blocks the loop.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _TAKEN}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._second_signal is not None:
                signal.set_wakeup_fd(-1)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._drains or self._stream is None:
            _leave_at_once()
        self._second_signal = _SecondSignal()
        name = signal.Signals(number).name
        # Logging here could meet itself half way through a line.
        io_thread().post(_log.info, "%s: draining for up to %g s, again to leave at once", name, self._drain_grace)
        self._drain(None)


class _SecondSignal:
    """Leaves at the next signal, even if the main thread never gets round to its handler.

    A signal that comes just before a blocking call begins is seen by Python only when that has
    ended; the byte that it writes to the wake-up descriptor is seen by the I/O thread at once.
    """

    def __init__(self) -> None:
        """Begin; only the main thread may."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        thread = io_thread()
        thread.post(thread.loop.add_reader, self._reader, self._on_byte)

    def _on_byte(self) -> None:
        if not _TAKEN.isdisjoint(self._reader.recv(64)):
            _leave_at_once()


def _leave_at_once() -> NoReturn:
    os.write(2, b"second signal: leaving at once\n")
    os._exit(0)


def _clock() -> float:
    """Seconds that also count while the machine sleeps: a session's time does not stop then."""
    # Only Linux tells the two apart.
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


#: The signals that end a worker.
_TAKEN: Final = frozenset({signal.SIGTERM, signal.SIGINT})

_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close the loop; what ignores being cancelled is left behind."""
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLEAN_UP_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _sdk_version() -> str:
    try:
        return version("windlass")
    except PackageNotFoundError:
        return "unknown"


def _show_log_lines(level: str) -> None:
    """Print the worker's lines unless the program has set up logging itself."""
    logger = logging.getLogger("windlass")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
