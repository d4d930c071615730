"""Tasks that execute in a process each, against a dispatcher without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.program_with_children import Start, alone, assigned, call, done, failed, is_alive
from tests.support.scripted_dispatcher import assignment
from tests.support.until import until
from windlass.v1 import dispatch_pb2, run_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_dispatcher import FakeDispatcher


def test_process_task_is_killed_at_its_execution_timeout(start: Start, dispatcher: FakeDispatcher) -> None:
    """Though it holds the GIL; it is a timeout, and no crash."""
    program = start()
    program.pid("opened")
    work = call("alone_holding_gil", seconds=50, execution_timeout_ms=300)
    dispatcher.assign(work)
    child = alone(program)
    failure = failed(dispatcher, work)
    assert (failure.failure.type, failure.crash) == ("ExecutionTimeout", dispatch_pb2.CRASH_UNSPECIFIED)
    until(lambda: not is_alive(child), "it was killed")


def test_process_task_that_ends_its_process_has_crashed_alone(start: Start, dispatcher: FakeDispatcher) -> None:
    """Nobody else was there."""
    start()
    failure = failed(dispatcher, *assigned(dispatcher, call("alone_ending")))
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
    children = [alone(program), alone(program)]
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
    first, second = (done(dispatcher, *assigned(dispatcher, call("alone", path="/")))[0] for _ in range(2))
    assert first == second == alone(program) == alone(program)
    path = tmp_path / "go"
    both = assigned(dispatcher, call("alone", path=str(path)), call("alone", path=str(path)))
    children = {alone(program), alone(program)}
    path.touch()
    assert set(done(dispatcher, *both)) == children
    assert len(children) == 2
    assert done(dispatcher, *assigned(dispatcher, call("whoami"))) != [first]


@pytest.mark.parametrize("connected", [False, True])
def test_a_hook_may_have_a_process_of_its_own(start: Start, dispatcher: FakeDispatcher, connected: bool) -> None:
    """Where children are forked, and where they import the app by name: a workflow's tasks are found by both names."""
    program = start.begin(connected=connected, worker={"processes": 1})
    shared = program.pid("opened")
    dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)
    hook = run_pb2.Hook(run_id="followed", task_name="mourn")
    work = assignment("mourn", workflow="orders", hook=hook)
    dispatcher.assign(work)
    own = program.pid("opened")
    assert done(dispatcher, work) == [[own, "followed"]]
    assert own != shared
    ordinary = assignment("order", workflow="orders")
    dispatcher.assign(ordinary)
    assert failed(dispatcher, ordinary).failure.type == "OSError"
