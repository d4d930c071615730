"""The application that the failure tests run: tasks that note what they do in a journal."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING

from pydantic import BaseModel

from windlass import ConcurrencyExpression, Context, RateLimit, RetryPolicy, Windlass

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.journal import Journal
    from windlass import ClientConfig

MAX_ATTEMPTS = 2
PERMITS_PER_KEY = 2
STARTS_PER_SECOND = 40
#: Long enough that a retry needs a timer, and with it a scheduler.
RETRY = RetryPolicy(max_attempts=MAX_ATTEMPTS, initial_interval=0.3, jitter=False)


class Work(BaseModel):
    """What a run is to do."""

    milliseconds: int = 0
    #: Fail at the first attempt; the second one succeeds.
    fail_first: bool = False
    #: Fail at every attempt.
    fail_always: bool = False
    #: Of `keyed`.
    key: str = ""


class Done(BaseModel):
    """What a run has done. The nonce tells which of its executions."""

    nonce: str


class Failed(Exception):
    """What was asked for."""


class JournalledApp:
    """The app, and its tasks. A caller needs no journal; a worker needs a gate for `held`."""

    def __init__(self, config: ClientConfig, journal: Journal | None = None, gate: Path | None = None) -> None:
        """Define the tasks."""
        self.app = app = Windlass(config=config)

        @app.task(retry=RETRY)
        async def work(input: Work, ctx: Context) -> Done:
            return await _work(journal, input, ctx)

        @app.task(retry=RETRY, concurrency=ConcurrencyExpression("input.key", PERMITS_PER_KEY))
        async def keyed(input: Work, ctx: Context) -> Done:
            return await _work(journal, input, ctx)

        @app.task(retries=MAX_ATTEMPTS - 1)
        def held(input: Work, ctx: Context) -> Done:
            assert journal is not None
            assert gate is not None
            nonce = journal.begin(ctx)
            pass_gate(gate)
            journal.end(nonce)
            return Done(nonce=nonce)

        @app.task(rate_limits=[RateLimit(dynamic_key="'journalled'", limit=STARTS_PER_SECOND, duration="1s")])
        async def limited(input: Work, ctx: Context) -> Done:
            assert journal is not None
            nonce = journal.begin(ctx)
            journal.end(nonce)
            return Done(nonce=nonce)

        ordered = app.workflow(name="ordered", input_validator=Work)

        @ordered.task(retry=RETRY)
        async def deliver(input: Work, ctx: Context) -> Done:
            return await _work(journal, input, ctx)

        @ordered.on_failure_task(retry=RETRY)
        async def complain(input: Work, ctx: Context) -> Done:
            return await _work(journal, Work(), ctx)

        @ordered.on_success_task(retry=RETRY)
        async def cheer(input: Work, ctx: Context) -> Done:
            return await _work(journal, Work(), ctx)

        self.ordered = ordered
        self.work = work
        self.limited = limited
        self.keyed = keyed
        self.held = held


async def _work(journal: Journal | None, input: Work, ctx: Context) -> Done:
    assert journal is not None
    nonce = journal.begin(ctx, input.key)
    await asyncio.sleep(input.milliseconds / 1000)
    journal.end(nonce)
    if input.fail_always or (input.fail_first and ctx.attempt_number == 1):
        raise Failed
    return Done(nonce=nonce)


class Gate:
    """Holds whoever comes to `path`, in any process, until it is opened."""

    def __init__(self, path: Path) -> None:
        """Close it: the kernel's lock on the file."""
        self.path = path
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def open(self) -> None:
        """Let everybody through. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def pass_gate(path: Path) -> None:
    """Wait until the gate is open."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
