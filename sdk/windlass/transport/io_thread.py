"""Owns the one thread, with the one event loop, on which all gRPC of a process lives.

Other threads and loops hand work over in batches and are told of results in batches. Knows nothing
of channels or messages.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import deque
from concurrent.futures import CancelledError, Future
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from windlass.exceptions import ForkedClient, SyncCallOnLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

_T = TypeVar("_T")
_log = logging.getLogger("windlass.io")


class IoThread:
    """A daemon thread that runs one event loop until the process ends."""

    def __init__(self) -> None:
        """Start the thread; returns when its loop runs."""
        self.loop = new_loop()
        self.pid = os.getpid()
        self.used_by_grpc = False
        self._handed_over: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False
        # What runs here is nobody's task: whoever hands over must not lend it a context.
        self._variables = Context()
        self._at_exit: list[Callable[[], Awaitable[object]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="windlass-io", daemon=True)
        self._thread.start()

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have `function(*args)` called on the loop soon. From any thread; never blocks.

        All that gathers until the loop gets round to it costs one wake-up.
        """
        self._handed_over.append((function, args))
        if not self._woken:
            # Two threads may both get here: a wake-up too many, never one too few, because the
            # loop clears the flag before it looks at the queue.
            self._woken = True
            self.loop.call_soon_threadsafe(self._drain, context=self._variables)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine on the loop. From any other thread; the future is that thread's."""
        future: Future[_T] = Future()
        self.post(self._start, coroutine, future)
        return future

    def at_exit(self, close: Callable[[], Awaitable[object]]) -> None:
        """Have `close()` awaited on the loop before the process ends."""
        self._at_exit.append(close)

    def forget_at_exit(self, close: Callable[[], Awaitable[object]]) -> None:
        """Take an `at_exit` back."""
        if close in self._at_exit:
            self._at_exit.remove(close)

    def stop(self) -> None:
        """Close what asked for it, end the loop and the thread. Harmless when repeated."""
        if not self._thread.is_alive() or self.pid != os.getpid():
            return
        self.post(self._start, self._close_all(), Future())
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def _drain(self) -> None:
        self._woken = False
        queue = self._handed_over
        while queue:
            function, args = queue.popleft()
            try:
                function(*args)
            except Exception:  # noqa: BLE001 - the edge of a loop
                _log.exception("a call handed over to the I/O thread failed")

    def _start(self, coroutine: Coroutine[Any, Any, _T], future: Future[_T]) -> None:
        if not future.set_running_or_notify_cancel():
            coroutine.close()
            return
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)

        def finish(done: asyncio.Task[_T]) -> None:
            self._tasks.discard(done)
            if done.cancelled():
                future.set_exception(CancelledError())
            elif (error := done.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())

        task.add_done_callback(finish)

    async def _close_all(self) -> None:
        for close in self._at_exit:
            try:
                await close()
            except Exception:  # noqa: BLE001 - the edge of a loop
                _log.exception("closing at exit failed")
        rest = self._tasks - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        self.loop.call_soon(self.loop.stop)


def new_loop() -> asyncio.AbstractEventLoop:
    """Make a loop: uvloop's, where there is uvloop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_lock = threading.Lock()
_current: IoThread | None = None
_forbidden: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def io_thread() -> IoThread:
    """Give the process's I/O thread; the first call starts it.

    Raises:
        ForkedClient: a parent process had opened a channel before it forked this one.

    """
    global _current  # noqa: PLW0603 - one per process
    thread = _current
    if thread is not None and thread.pid == _pid:
        return thread
    with _lock:
        thread = _current
        if thread is None or thread.pid != _pid:
            if thread is not None and thread.used_by_grpc:
                msg = (
                    "this process was forked from one that had already connected to the api, and gRPC does not "
                    "survive fork(): start children with the 'spawn' or 'forkserver' method, or connect only after "
                    "the fork (for gunicorn or uwsgi: no calls at import time, and no preloading that makes any)"
                )
                raise ForkedClient(msg)
            _current = thread = IoThread()
    return thread


def is_connected() -> bool:
    """Whether this process has used gRPC, which does not survive a fork."""
    return _current is not None and _current.pid == _pid and _current.used_by_grpc


def forbid_sync_calls_on(loop: asyncio.AbstractEventLoop) -> None:
    """Have every blocking call on `loop` refused: a worker's own loop, which would deadlock."""
    _forbidden.add(loop)


def allow_sync_calls_on(loop: asyncio.AbstractEventLoop) -> None:
    """Take a `forbid_sync_calls_on` back."""
    _forbidden.discard(loop)


def check_may_block(call: str, twin: str) -> None:
    """Refuse the blocking `call` where it would deadlock.

    Raises:
        SyncCallOnLoop: this is a worker's own event loop; `twin` is named as the way out.

    """
    if not _forbidden:
        return
    loop = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises, at thirty times the price
    if loop is not None and loop in _forbidden:
        msg = (
            f"{call}() blocks, and this is the worker's own event loop: it would stop every task on it. "
            f"Use `await {twin}()` here"
        )
        raise SyncCallOnLoop(msg)


_pid = os.getpid()


def _after_fork() -> None:
    global _pid, _lock  # noqa: PLW0603 - one per process
    _pid = os.getpid()
    _lock = threading.Lock()
    _forbidden.clear()


def _at_exit() -> None:
    if _current is not None:
        _current.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
