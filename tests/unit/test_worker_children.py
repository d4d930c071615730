"""A worker with children, against a dispatcher without an engine: who gets what, what dies, and what of it is told."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.support.program_with_children import Start, assigned, call, done, failed
from tests.support.scripted_dispatcher import assignment
from tests.support.until import until
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_dispatcher import FakeDispatcher


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
    assert done(dispatcher, *assigned(dispatcher, call("whoami")))


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


def test_a_child_is_replaced_after_its_tasks(start: Start, dispatcher: FakeDispatcher) -> None:
    """Exactly so many each, and none is lost in between."""
    start(max_tasks_per_child=5, slots=3)
    pids: list[int] = []
    for _ in range(7):
        pids += done(dispatcher, *assigned(dispatcher, *[call("whoami") for _ in range(3)]))
    counts = sorted(pids.count(pid) for pid in set(pids))
    assert counts == [1, 5, 5, 5, 5]


def test_a_child_is_replaced_when_it_has_grown(start: Start, dispatcher: FakeDispatcher) -> None:
    """It finishes what it has."""
    program = start(max_memory_per_child="200MB", slots=3)
    child = program.pid("opened")
    assert done(dispatcher, *assigned(dispatcher, call("grow", megabytes=250))) == [child]
    assert program.pid("opened") != child
    assert program.pid("closed") == child
    assert done(dispatcher, *assigned(dispatcher, call("whoami"))) != [child]


def test_many_lines_arrive_in_order(start: Start, dispatcher: FakeDispatcher) -> None:
    """Before the outcome of their attempt."""
    start()
    work = call("talk", lines=3000)
    dispatcher.assign(work)
    done(dispatcher, work)
    lines = [line.message for log in dispatcher.logs for line in log.lines]
    assert lines == [f"line {number}" for number in range(3000)]
