"""Threads for sync tasks: started when needed, reused, and given up on when one cannot be stopped.

Owns the threads and how an exception is raised in one from outside. Leaves what a job is, and how
its end is reported, to its caller.

Not concurrent.futures: its future, work item and two locks per job cost more than a no-op task,
and it has no way to replace a thread that is stuck.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

J = TypeVar("J")
T = TypeVar("T")


class TaskInterrupted(BaseException):
    """Raised in a sync task to stop it: its execution timeout, or its cancel grace, is over."""


class PoolThread(Generic[J]):
    """One thread. `job` is what it executes now."""

    def __init__(self, pool: ThreadPool[J], name: str) -> None:
        """Start the thread."""
        self._pool = pool
        self._lock = threading.Lock()
        self.job: J | None = None
        self.given_up = False
        self._takes = False  # what `tell` raises
        self.ident = 0
        self.summoned = True
        self.parking = threading.Lock()
        self.parking.acquire()
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def interrupt(self, job: J) -> bool:
        """Raise TaskInterrupted in `job` if this thread still executes it; it never takes another.

        It is raised between two bytecodes: a call that blocks inside C ends first. What becomes of
        the job must have been settled before: it may hit anywhere, the reporting included.
        """
        with self._lock:
            if self.job is not job:
                return False
            self.given_up = True
            _raise_in(self.ident, TaskInterrupted)
        self._pool.given_up()
        return True

    def tell(self, job: J, error: type[BaseException]) -> bool:
        """Raise `error` in `job` if this thread executes it inside `listening`, between two bytecodes.

        The job goes on, and so does the thread.
        """
        with self._lock:
            if self.job is not job or not self._takes:
                return False
            _raise_in(self.ident, error)
        return True

    def listening(self, call: Callable[[], T]) -> T:
        """Do `call`, in which `tell` may raise. On this thread. What comes too late is taken back."""
        with self._lock:
            self._takes = True
        try:
            return call()
        finally:
            with self._lock:
                self._takes = False
                if not self.given_up:
                    _raise_in(self.ident, None)

    def stack(self) -> str:
        """Tell where the thread is now."""
        frame = sys._current_frames().get(self.ident)  # noqa: SLF001 - its documented name
        return "" if frame is None else "".join(traceback.format_stack(frame))

    def _main(self) -> None:
        self.ident = threading.get_ident()
        try:
            self._work()
        except TaskInterrupted:
            pass  # it hit outside the user's code, after the job had been given up on
        finally:
            self._pool.ended(self)

    def _work(self) -> None:
        pool = self._pool
        while (job := pool.take(self)) is not None:
            self.job = job
            pool.execute(job, self)
            with self._lock:
                self.job = None
                if self.given_up:
                    _raise_in(self.ident, None)  # it may still be on its way
                    return


class ThreadPool(Generic[J]):
    """At most `limit` threads that take jobs; those given up on are not counted.

    One thread at a time is summoned; when it arrives and jobs are left, it summons the next. So
    every job gets a thread while there are any, and a burst of short ones does not wake them all.
    """

    def __init__(self, limit: int, execute: Callable[[J, PoolThread[J]], None]) -> None:
        """Start nothing yet.

        Args:
            limit: threads at the most.
            execute: runs a job on its thread; must not raise.

        """
        self.execute = execute
        self._limit = limit
        self._lock = threading.Lock()
        self._jobs: deque[J] = deque()
        self._parked: list[PoolThread[J]] = []  # the last to park is the first to be woken
        self._summoning = False
        self._active = 0
        self._started = 0
        self._closed = False

    def submit(self, job: J) -> None:
        """Have a job executed as soon as a thread is free. From any thread."""
        with self._lock:
            self._jobs.append(job)
            self._summon()

    def close(self) -> None:
        """Let the threads end as they become free. Waits for none."""
        with self._lock:
            self._closed = True
            for thread in self._parked:
                thread.parking.release()
            self._parked.clear()

    def widen(self) -> None:
        """Let there be one thread more."""
        with self._lock:
            self._limit += 1
            if self._jobs:
                self._summon()

    def narrow(self) -> None:
        """Let there be one less: a thread ends in place of waiting for its next job."""
        with self._lock:
            self._limit -= 1

    def take(self, thread: PoolThread[J]) -> J | None:
        """Wait for a job. None: end."""
        while True:
            with self._lock:
                if thread.summoned:
                    thread.summoned = self._summoning = False
                if self._jobs:
                    job = self._jobs.popleft()
                    if self._jobs:
                        self._summon()
                    return job
                if self._closed or self._active > self._limit:
                    return None
                self._parked.append(thread)
            thread.parking.acquire()

    def given_up(self) -> None:
        """Count a thread no longer; another takes its place where jobs wait."""
        with self._lock:
            self._active -= 1
            if self._jobs:
                self._summon()

    def ended(self, thread: PoolThread[J]) -> None:
        """Forget a thread."""
        with self._lock:
            self._active -= not thread.given_up

    def _summon(self) -> None:
        if self._summoning:
            return
        if self._parked:
            thread = self._parked.pop()
            thread.summoned = self._summoning = True
            thread.parking.release()
        elif self._active < self._limit:
            self._summoning = True
            self._active += 1
            self._started += 1
            PoolThread(self, f"windlass-task-{self._started}")


def _raise_in(ident: int, exception: type[BaseException] | None) -> None:
    """Raise `exception` in another thread, or take it back.

    See PyThreadState_SetAsyncExc in Python's C API.
    """
    target = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), target)
