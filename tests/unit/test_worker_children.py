"""A worker with children, against a dispatcher without an engine: what dies, and what of it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fake_dispatcher import FakeDispatcher, fake_dispatcher
from tests.support.scripted_dispatcher import assignment
from tests.support.until import until
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture
def dispatcher() -> Iterator[FakeDispatcher]:
    """A dispatcher that listens."""
    with fake_dispatcher() as each:
        yield each


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


@pytest.fixture
def start(dispatcher: FakeDispatcher, tmp_path: Path) -> Iterator[Start]:
    """A way to start the program."""
    each = Start(dispatcher, tmp_path)
    yield each
    for program in each.programs:
        program.close()


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


def test_children_share_the_work(start: Start, dispatcher: FakeDispatcher, tmp_path: Path) -> None:
    """Whoever has least to do gets the next; each has opened the lifespan for itself."""
    program = start(processes=3, slots=6)
    opened = {program.pid("opened") for _ in range(3)}
    path = tmp_path / "go"
    work = [call("wait_for", path=str(path)) for _ in range(6)]
    dispatcher.assign(*work)
    begun = [program.pid("begun") for _ in range(6)]
    assert {begun.count(pid) for pid in opened} == {2}
    assert program.process.pid not in opened
    path.touch()
    assert set(done(dispatcher, *work)) == opened


def test_a_child_that_is_killed_is_charged_to_its_task(start: Start, dispatcher: FakeDispatcher) -> None:
    """How it ended is told, and the next task has another child."""
    start()
    for number, said in ((9, "was ended by SIGKILL"), (0, "ended with exit code 0"), (15, None)):
        work = call("end_by", number=number)
        dispatcher.assign(work)
        if said is None:  # what a process manager sends to all of its group
            assert done(dispatcher, work) == [None]
            continue
        failure = failed(dispatcher, work)
        assert failure.crash == dispatch_pb2.CRASH_ALONE
        assert failure.failure.message == f"the process that executed it {said}"
    work = call("segfault")
    dispatcher.assign(work)
    assert "SIGSEGV" in failed(dispatcher, work).failure.message
    assert done(dispatcher, *_assigned(dispatcher, call("whoami")))


def test_neighbours_of_a_crash_are_told_apart(start: Start, dispatcher: FakeDispatcher) -> None:
    """Nobody knows whose fault it was: each is to be tried by itself; another child's are not concerned."""
    program = start(processes=2, slots=10)
    for _ in range(2):
        program.pid("opened")
    work = [call("wait_for", path="/never") for _ in range(4)]
    dispatcher.assign(*work)
    begun = [program.pid("begun") for _ in range(4)]
    os.kill(begun[0], signal.SIGKILL)
    dispatcher.wait_until(lambda: len(dispatcher.failed) == 2)
    assert {each.crash for each in dispatcher.failed.values()} == {dispatch_pb2.CRASH_AMONG_OTHERS}
    assert begun.count(begun[0]) == 2
    program.pid("opened")
    assert len(dispatcher.failed) == 2


def test_what_is_isolated_executes_alone(start: Start, dispatcher: FakeDispatcher, tmp_path: Path) -> None:
    """In a child of its own, beside the one with all the others; its crash is its own."""
    program = start()
    shared = program.pid("opened")
    path = tmp_path / "go"
    others = [call("wait_for", path=str(path)) for _ in range(3)]
    dispatcher.assign(*others)
    assert {program.pid("begun") for _ in range(3)} == {shared}
    poison = call("end_by", number=9, isolated=True)
    dispatcher.assign(poison)
    assert failed(dispatcher, poison).crash == dispatch_pb2.CRASH_ALONE
    path.touch()
    assert done(dispatcher, *others) == [shared] * 3


def test_a_child_s_end_is_noticed_though_its_own_child_holds_the_pipe(
    start: Start, dispatcher: FakeDispatcher, tmp_path: Path
) -> None:
    """A task has forked; what it forked lives on."""
    start()
    work = call("leave_a_child", path=str(tmp_path / "go"))
    dispatcher.assign(work)
    assert failed(dispatcher, work).failure.message.endswith("ended with exit code 5")
    (tmp_path / "go").touch()


def test_batches_gather_in_one_child(start: Start, dispatcher: FakeDispatcher) -> None:
    """So that they fill up, however many children there are."""
    start(processes=3, slots=8)
    work = [assignment("gather", str(number).encode()) for number in range(4)]
    dispatcher.assign(*work)
    outputs = done(dispatcher, *work)
    assert [size for _, size in outputs] == [4, 4, 4, 4]
    assert len({pid for pid, _ in outputs}) == 1


def test_heartbeats_outlive_a_blocked_gil(start: Start, dispatcher: FakeDispatcher) -> None:
    """A C call that holds the GIL for two sessions' length: nothing is lost, and another child goes on."""
    dispatcher.script.welcome.heartbeat_interval_ms = 200
    dispatcher.script.welcome.session_ttl_ms = 1000
    program = start(processes=2, slots=4)
    held = call("hold_gil", seconds=2)
    dispatcher.assign(held)
    until(lambda: program.line() == "holds", "the task holds the GIL")
    others = [call("whoami") for _ in range(4)]
    before = dispatcher.heartbeats
    for each in others:
        dispatcher.assign(each)
        if each is others[0]:
            done(dispatcher, each)
    dispatcher.wait_until(lambda: dispatcher.heartbeats > before + 3)
    assert done(dispatcher, held, *others)[0] == "held"
    assert dispatcher.failed == {}
    assert len(dispatcher.hellos) == 1


def test_a_second_signal_leaves_no_child_behind(start: Start, dispatcher: FakeDispatcher) -> None:
    """Nor does one that holds the GIL keep anybody."""
    program = start()
    child = program.pid("opened")
    dispatcher.assign(call("hold_gil", seconds=50))
    assert program.line() == "holds"
    program.process.send_signal(signal.SIGTERM)
    dispatcher.wait_until(lambda: dispatcher.draining)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(10) == 0
    assert program.line() == ""
    until(lambda: not is_alive(child), "the child has ended")


def test_children_die_with_a_supervisor_that_is_killed(start: Start, dispatcher: FakeDispatcher) -> None:
    """At once, whatever they do."""
    program = start(processes=2)
    children = [program.pid("opened") for _ in range(2)]
    dispatcher.assign(call("hold_gil", seconds=50))
    assert program.line() == "holds"
    program.process.kill()
    assert program.line() == ""
    until(lambda: not any(map(is_alive, children)), "the children have ended")


def test_a_drain_waits_for_children_and_closes_their_lifespans(
    start: Start, dispatcher: FakeDispatcher, tmp_path: Path
) -> None:
    """Also where the terminal sends its signal to all of them."""
    program = start()
    child = program.pid("opened")
    path = tmp_path / "go"
    work = call("wait_for", path=str(path))
    dispatcher.assign(work)
    assert program.pid("begun") == child
    for pid in (child, program.process.pid):
        os.kill(pid, signal.SIGINT)
    dispatcher.wait_until(lambda: dispatcher.draining)
    path.touch()
    assert program.pid("closed") == child
    assert program.line() == "ended"
    assert done(dispatcher, work) == [child]


def test_a_child_is_replaced_after_its_tasks(start: Start, dispatcher: FakeDispatcher) -> None:
    """Exactly so many each, and none is lost in between."""
    start(max_tasks_per_child=5, slots=3)
    pids: list[int] = []
    for _ in range(7):
        pids += done(dispatcher, *_assigned(dispatcher, *[call("whoami") for _ in range(3)]))
    counts = sorted(pids.count(pid) for pid in set(pids))
    assert counts == [1, 5, 5, 5, 5]


def test_a_child_is_replaced_when_it_has_grown(start: Start, dispatcher: FakeDispatcher) -> None:
    """It finishes what it has."""
    program = start(max_memory_per_child="200MB", slots=3)
    child = program.pid("opened")
    assert done(dispatcher, *_assigned(dispatcher, call("grow", megabytes=250))) == [child]
    assert program.pid("opened") != child
    assert program.pid("closed") == child
    assert done(dispatcher, *_assigned(dispatcher, call("whoami"))) != [child]


def test_many_lines_arrive_in_order(start: Start, dispatcher: FakeDispatcher) -> None:
    """Before the outcome of their attempt."""
    start()
    work = call("talk", lines=3000)
    dispatcher.assign(work)
    done(dispatcher, work)
    lines = [line.message for log in dispatcher.logs for line in log.lines]
    assert lines == [f"line {number}" for number in range(3000)]


def test_a_worker_whose_lifespan_fails_in_its_child_does_not_start(start: Start) -> None:
    """It says why, once, and leaves nothing behind."""
    program = start.begin(unfit=True)
    assert program.process.wait(20) == 1
    assert "raised RuntimeError: no database" in program.log()
    assert "LifespanFailed" in program.log()


def test_a_worker_whose_children_die_before_they_are_ready_does_not_start(start: Start) -> None:
    """It says how."""
    program = start.begin(dies=True)
    assert program.process.wait(20) == 1
    assert "ended with exit code 7 before it was ready" in program.log()


def test_program_that_has_connected_has_its_children_import_it(
    start: Start, dispatcher: FakeDispatcher, tmp_path: Path
) -> None:
    """It can't be forked any more: another process runs it as a module, lifespan and all."""
    program = start.begin(connected=True, worker={"processes": 2})
    opened = {program.pid("opened") for _ in range(2)}
    dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
    assert set(done(dispatcher, *_assigned(dispatcher, call("whoami")))) <= opened
    program.process.terminate()
    assert {program.pid("closed") for _ in range(2)} == opened


def test_program_that_would_start_workers_when_it_is_imported_is_refused(start: Start) -> None:
    """It is told what to write."""
    program = start.begin(connected=True, unguarded=True, worker={"processes": 1})
    assert program.process.wait(30) == 1
    assert 'put that under `if __name__ == "__main__":`' in program.log()


def test_program_that_has_connected_executes_by_itself_unless_told(start: Start, dispatcher: FakeDispatcher) -> None:
    """Running it once more could do once more whatever it has done."""
    program = start.begin(connected=True)
    assert program.pid("opened") == program.process.pid
    dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
    assert "no child processes" in program.log()
    assert done(dispatcher, *_assigned(dispatcher, call("whoami"))) == [program.process.pid]


def test_worker_ends_when_its_nursery_is_killed(start: Start, dispatcher: FakeDispatcher) -> None:
    """There would be no more children; what they had goes back uncharged, and none is left behind."""
    program = start()
    child = program.pid("opened")
    work = call("wait_for", path="/never")
    dispatcher.assign(work)
    assert program.pid("begun") == child
    nursery = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(nursery, signal.SIGKILL)
    assert failed(dispatcher, work).released
    assert program.process.wait(30) == 1
    assert "the process that children are forked from has ended" in program.log()
    assert not is_alive(child)


def test_process_task_is_killed_at_its_execution_timeout(start: Start, dispatcher: FakeDispatcher) -> None:
    """Though it holds the GIL; it is a timeout, and no crash."""
    program = start()
    program.pid("opened")
    work = call("alone_holding_gil", seconds=50, execution_timeout_ms=300)
    dispatcher.assign(work)
    child = _alone(program)
    failure = failed(dispatcher, work)
    assert (failure.failure.type, failure.crash) == ("ExecutionTimeout", dispatch_pb2.CRASH_UNSPECIFIED)
    until(lambda: not is_alive(child), "it was killed")


def test_process_task_that_ends_its_process_has_crashed_alone(start: Start, dispatcher: FakeDispatcher) -> None:
    """Nobody else was there."""
    start()
    failure = failed(dispatcher, *_assigned(dispatcher, call("alone_ending")))
    assert (failure.crash, failure.failure.message) == (
        dispatch_pb2.CRASH_ALONE,
        "the process that executed it ended with exit code 9",
    )


def test_process_task_hears_that_it_is_cancelled(start: Start, dispatcher: FakeDispatcher) -> None:
    """What it logs arrives too; one that does not listen is killed after the grace."""
    dispatcher.script.welcome.cancel_grace_ms = 300
    program = start()
    polite, rude = call("alone", path="/never"), call("alone_holding_gil", seconds=50)
    dispatcher.assign(polite, rude)
    children = [_alone(program), _alone(program)]
    dispatcher.say(cancel=dispatch_pb2.Cancel(lease_ids=[polite.lease_id, rude.lease_id], reason="test"))
    assert done(dispatcher, polite) == [-1]
    assert failed(dispatcher, rude).failure.type == "TaskInterrupted"
    assert [line.message for log in dispatcher.logs for line in log.lines] == ["alone"]
    until(lambda: not all(map(is_alive, children)), "the rude one was killed")


@pytest.mark.parametrize("processes", [0, 1])
def test_process_tasks_use_a_child_again(
    start: Start, dispatcher: FakeDispatcher, tmp_path: Path, processes: int
) -> None:
    """One after the other in one child, at the same time in two; and where all others execute in the worker itself."""
    program = start(processes=processes)
    first, second = (done(dispatcher, *_assigned(dispatcher, call("alone", path="/")))[0] for _ in range(2))
    assert first == second == _alone(program) == _alone(program)
    path = tmp_path / "go"
    both = _assigned(dispatcher, call("alone", path=str(path)), call("alone", path=str(path)))
    children = {_alone(program), _alone(program)}
    path.touch()
    assert set(done(dispatcher, *both)) == children
    assert len(children) == 2
    assert done(dispatcher, *_assigned(dispatcher, call("whoami"))) != [first]


def _assigned(dispatcher: FakeDispatcher, *work: dispatch_pb2.Assignment) -> tuple[dispatch_pb2.Assignment, ...]:
    dispatcher.assign(*work)
    return work


def _alone(program: Program) -> int:
    """Wait until a task says that it executes alone; its process id."""
    while (line := program.line()).startswith("opened"):
        pass
    return int(line.removeprefix("alone "))
