"""How a worker comes to its children, and what keeps it from starting at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.program_with_children import Start, assigned, call, done

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_dispatcher import FakeDispatcher


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
    assert set(done(dispatcher, *assigned(dispatcher, call("whoami")))) <= opened
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
    assert done(dispatcher, *assigned(dispatcher, call("whoami"))) == [program.process.pid]
