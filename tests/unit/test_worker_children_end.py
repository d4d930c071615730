"""How a worker with children ends: none is left behind, and none is ended too early."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.program_with_children import Start, call, done, failed, is_alive
from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.fake_dispatcher import FakeDispatcher


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
