"""Owns a worker's program with children, run as a process of its own, and what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.scripted_dispatcher import assignment

if TYPE_CHECKING:
    from tests.support.fake_dispatcher import FakeDispatcher
    from windlass.v1 import dispatch_pb2


PROGRAM = """
    import asyncio, ctypes, json, os, signal, sys, time
    from windlass import Context, Windlass

    options = json.loads(sys.argv[1])
    app = Windlass()

    def say(text):
        os.write(1, f"{text}\\n".encode())

    async def lifespan():
        if options.get("unfit"):
            raise RuntimeError("no database")
        if options.get("dies"):
            os._exit(7)
        say(f"opened {os.getpid()}")
        yield {"pid": os.getpid()}
        say(f"closed {os.getpid()}")

    @app.task
    def whoami(ctx: Context) -> int:
        assert ctx.lifespan["pid"] == os.getpid()
        return os.getpid()

    @app.task
    async def wait_for(path: str) -> int:
        say(f"begun {os.getpid()}")
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        return os.getpid()

    @app.task
    def end_by(number: int) -> None:
        os.kill(os.getpid(), number) if number else os._exit(0)

    @app.task
    def segfault() -> None:
        ctypes.string_at(0)

    @app.task
    def hold_gil(seconds: int) -> str:
        say("holds")
        ctypes.PyDLL(None).sleep(seconds)
        return "held"

    @app.task
    def leave_a_child(path: str) -> None:
        if os.fork() == 0:
            while not os.path.exists(path):
                time.sleep(0.01)
            os._exit(0)
        os._exit(5)

    @app.task
    def grow(megabytes: int) -> int:
        app.ballast = b"x" * (megabytes * 1_000_000)
        return os.getpid()

    @app.task
    def talk(ctx: Context, lines: int) -> int:
        for number in range(lines):
            ctx.log(f"line {number}")
        return lines

    @app.task(executor="process")
    def alone(ctx: Context, path: str) -> int:
        ctx.log("alone")
        say(f"alone {os.getpid()}")
        while not os.path.exists(path):
            if ctx.is_cancelled:
                return -1
            time.sleep(0.01)
        return os.getpid()

    @app.task(executor="process")
    def alone_holding_gil(seconds: int) -> None:
        say(f"alone {os.getpid()}")
        ctypes.PyDLL(None).sleep(seconds)

    @app.task(executor="process")
    def alone_ending() -> None:
        os._exit(9)

    orders = app.workflow(name="orders")

    @orders.task
    def order() -> None:
        raise OSError

    @orders.on_failure_task(executor="process")
    def mourn(ctx: Context) -> list[object]:
        return [os.getpid(), ctx.workflow_run_id]

    @app.batch_task(batch_max_size=4, batch_max_interval=20)
    async def gather(inputs: list[int]) -> list[list[int]]:
        return [[os.getpid(), len(inputs)] for _ in inputs]

    def serve():
        if options.get("connected"):
            from windlass.transport.channel import open_channel
            from windlass.transport.io_thread import io_thread

            async def connect():
                async with open_channel(app.config.api_address, app.config):
                    pass
            io_thread().run(connect()).result()
        app.worker("children", lifespan=lifespan, **options.get("worker", {})).start()
        say("ended")

    if __name__ == "__main__" or options.get("unguarded"):
        serve()
"""


class Program:
    """The worker's process; its lines are read one by one."""

    def __init__(self, dispatcher: FakeDispatcher, folder: Path, **options: Any) -> None:
        program = folder / "program.py"
        program.write_text(textwrap.dedent(PROGRAM))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, program, json.dumps(options)],
                env={**os.environ, "WINDLASS_API_ADDRESS": dispatcher.address},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._killer = threading.Timer(60, self.process.kill)
        self._killer.start()

    def line(self) -> str:
        """Its next line of output; empty when it, and all its children, have ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def pid(self, word: str) -> int:
        """Read the next line, which has to be that word and a process id."""
        said, pid = self.line().split()
        assert said == word
        return int(pid)

    def log(self) -> str:
        """What it has said to people."""
        return self._log.read_text()

    def close(self) -> None:
        """End it if it has not."""
        self._killer.cancel()
        self.process.kill()
        self.process.wait(10)
        self.process.communicate()


class Start:
    """Starts programs, and ends them with the test."""

    def __init__(self, dispatcher: FakeDispatcher, folder: Path) -> None:
        self._dispatcher = dispatcher
        self._folder = folder
        self.programs: list[Program] = []

    def __call__(self, **options: Any) -> Program:
        """Start one; return when it is connected."""
        program = self.begin(worker=options)
        self._dispatcher.wait_until(lambda: len(self._dispatcher.hellos) == 1)
        return program

    def begin(self, **options: Any) -> Program:
        """Start one."""
        self.programs.append(Program(self._dispatcher, self._folder, **options))
        return self.programs[-1]


def done(dispatcher: FakeDispatcher, *work: dispatch_pb2.Assignment) -> list[Any]:
    """Wait for the outputs of these."""
    dispatcher.wait_until(lambda: all(each.run_id in dispatcher.completed for each in work))
    return [json.loads(dispatcher.completed[each.run_id]) for each in work]


def failed(dispatcher: FakeDispatcher, work: dispatch_pb2.Assignment) -> dispatch_pb2.Failed:
    """Wait for the failure of this one."""
    dispatcher.wait_until(lambda: work.run_id in dispatcher.failed)
    return dispatcher.failed[work.run_id]


def call(name: str, **fields: Any) -> dispatch_pb2.Assignment:
    """An attempt with this input."""
    more = {key: fields.pop(key) for key in ("isolated", "execution_timeout_ms") if key in fields}
    return assignment(name, json.dumps(fields).encode(), **more)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assigned(dispatcher: FakeDispatcher, *work: dispatch_pb2.Assignment) -> tuple[dispatch_pb2.Assignment, ...]:
    """Assign these, and give them back."""
    dispatcher.assign(*work)
    return work


def alone(program: Program) -> int:
    """Wait until a task says that it executes alone; its process id."""
    while (line := program.line()).startswith("opened"):
        pass
    return int(line.removeprefix("alone "))
