"""Workers that execute tasks in processes of their own: what is told of one that dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@optional_case("crashes")
async def a_crash_alone_is_told(rig: Rig) -> None:
    """The attempt of a process that died with nothing else in it failed ALONE; the worker goes on."""
    link = await rig.connect()
    attempt = work.crash(50)
    link.assign(attempt)
    failed = work.expect_failure(await link.outcome(attempt))
    _expect_crash(failed, dispatch_pb2.CRASH_ALONE)
    message = failed.failure.message
    assert str(work.CRASH_STATUS) in message, f"expected a message with exit code {work.CRASH_STATUS}, got {message!r}"
    assert failed.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {failed.run_id!r}"
    await rig.execute_for(link, 1)
    assert len(rig.dispatcher.links) == 1, "the worker left the stream"


@optional_case("crashes")
async def a_crash_among_others_is_nobodys(rig: Rig) -> None:
    """Attempts that died together all failed AMONG_OTHERS: nobody knows whose fault it was."""
    link = await rig.connect()
    attempt, others = work.crash(500), [work.hold(1_500), work.hold(1_500)]
    link.assign(attempt, *others)
    failed = work.expect_failure(await link.outcome(attempt))
    outcomes = [await link.outcome(other) for other in others]
    victims = [each for each in outcomes if isinstance(each, dispatch_pb2.Failed)]
    # A worker may as well have a process for each.
    crash = dispatch_pb2.CRASH_AMONG_OTHERS if victims else dispatch_pb2.CRASH_ALONE
    for each in (failed, *victims):
        _expect_crash(work.expect_failure(each), crash)
    await rig.execute_for(link, 1)


@optional_case("crashes")
async def an_isolated_attempt_crashes_alone(rig: Rig) -> None:
    """What comes as isolated executes in a process where nothing else does."""
    link = await rig.connect()
    other, suspect = work.hold(1_200), work.crash(300, isolated=True)
    link.assign(other, suspect)
    _expect_crash(work.expect_failure(await link.outcome(suspect)), dispatch_pb2.CRASH_ALONE)
    work.expect_output(await link.outcome(other), {"held": 1_200})


def _expect_crash(failed: dispatch_pb2.Failed, expected: dispatch_pb2.Crash.ValueType) -> None:
    name = dispatch_pb2.Crash.Name
    assert failed.crash == expected, f"crash: expected {name(expected)}, got {name(failed.crash)}"
