"""A worker process and its signals, against a dispatcher without an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.scripted_dispatcher import assignment
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_dispatcher import FakeDispatcher

PROGRAM = """
    import asyncio, os, sys, time
    from windlass import Windlass

    app = Windlass()

    def say(text):
        os.write(1, text.encode() + b"\\n")

    @app.task
    async def wait_for(path: str) -> str:
        say("begun")
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        return "done"

    @app.task
    async def block_loop() -> None:
        say("begun")
        time.sleep(60)

    @app.task
    def block_thread() -> None:
        say("begun")
        time.sleep(60)

    @app.task
    async def stray() -> None:
        async def leave():
            raise SystemExit(3)
        say("begun")
        app.stray = asyncio.create_task(leave())
        await asyncio.Event().wait()

    def embed():
        async def main():
            await app.worker("embedded").aio_start()
            await asyncio.to_thread(sys.stdin.readline)
        asyncio.run(main())

    if "embed" in sys.argv:
        embed()
    else:
        app.worker("process", processes=0 if "here" in sys.argv else None).start()
    say("ended")
"""


class Program:
    """The worker process; its lines are read one by one."""

    def __init__(self, dispatcher: FakeDispatcher, folder: Path, *arguments: str) -> None:
        program = folder / "program.py"
        program.write_text(textwrap.dedent(PROGRAM))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, program, *arguments],
                env={**os.environ, "WINDLASS_API_ADDRESS": dispatcher.address},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._killer = threading.Timer(30, self.process.kill)
        self._killer.start()

    def line(self) -> str:
        """Its next line of output; empty when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end: exit code and log."""
        code = self.process.wait(20)
        return code, self._log.read_text()

    def close(self) -> None:
        """End it if it has not."""
        self._killer.cancel()
        self.process.kill()
        self.process.wait(10)
        self.process.communicate()


@pytest.fixture
def program(dispatcher: FakeDispatcher, tmp_path: Path) -> Iterator[Program]:
    """A worker process that is connected."""
    each = Program(dispatcher, tmp_path)
    try:
        dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
        yield each
    finally:
        each.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(program: Program, dispatcher: FakeDispatcher, tmp_path: Path, number: int) -> None:
    """What runs finishes, its result is acknowledged, start() returns, the exit code is 0."""
    path = tmp_path / "go"
    work = assignment("wait_for", b'{"path": "%s"}' % str(path).encode())
    dispatcher.assign(work)
    assert program.line() == "begun"
    program.signal(number)
    dispatcher.wait_until(lambda: dispatcher.draining)
    path.touch()
    assert program.line() == "ended"
    code, log = program.end()
    assert code == 0
    assert dispatcher.completed[work.run_id] == b'"done"'
    assert "connected to the dispatcher" in log
    assert f"{signal.Signals(number).name}: draining" in log
    assert "has ended" in log


@pytest.mark.parametrize("task", ["wait_for", "block_loop", "block_thread"])
def test_a_second_signal_leaves_at_once(program: Program, dispatcher: FakeDispatcher, task: str) -> None:
    """Even while a task blocks the loop, or a thread."""
    dispatcher.assign(assignment(task, b'{"path": "/never"}' if task == "wait_for" else b"{}"))
    assert program.line() == "begun"
    program.signal(signal.SIGTERM)
    dispatcher.wait_until(lambda: dispatcher.draining)
    program.signal(signal.SIGTERM)
    assert program.line() == ""
    code, log = program.end()
    assert code == 0
    assert "leaving at once" in log


def test_a_worker_without_work_ends_at_once(program: Program) -> None:
    """There is nothing to wait for."""
    program.signal(signal.SIGTERM)
    assert program.line() == "ended"
    assert program.end()[0] == 0


def test_a_stray_system_exit_hands_the_work_back(dispatcher: FakeDispatcher, tmp_path: Path) -> None:
    """Without children: asyncio lets it end the loop; the process ends as asked, and its attempts run elsewhere."""
    each = Program(dispatcher, tmp_path, "here")
    try:
        dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
        work = assignment("stray")
        dispatcher.assign(work)
        assert each.line() == "begun"
        assert each.end()[0] == 3
        assert dispatcher.failed[work.run_id].released
    finally:
        each.close()


def test_a_stray_system_exit_in_a_child_is_a_crash(program: Program, dispatcher: FakeDispatcher) -> None:
    """The child ends, and the worker goes on with another one."""
    work, next_one = assignment("stray"), assignment("wait_for", b'{"path": "/"}')
    dispatcher.assign(work)
    dispatcher.wait_until(lambda: work.run_id in dispatcher.failed)
    failed = dispatcher.failed[work.run_id]
    assert (failed.crash, failed.failure.message) == (
        dispatch_pb2.CRASH_ALONE,
        "the process that executed it ended with exit code 3",
    )
    dispatcher.assign(next_one)
    dispatcher.wait_until(lambda: next_one.run_id in dispatcher.completed)


def test_a_process_that_never_stops_its_worker_hands_the_work_back(dispatcher: FakeDispatcher, tmp_path: Path) -> None:
    """At its exit, and not only when the session expires."""
    each = Program(dispatcher, tmp_path, "embed")
    try:
        dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
        work = assignment("wait_for", b'{"path": "/never"}')
        dispatcher.assign(work)
        assert each.line() == "begun"
        assert each.process.stdin is not None
        each.process.stdin.write("\n")
        each.process.stdin.flush()
        assert each.line() == "ended"
        assert each.end()[0] == 0
        assert dispatcher.failed[work.run_id].run_id == work.run_id
    finally:
        each.close()
