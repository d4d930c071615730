"""Owns what is reported of the attempts that a dead process has left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.v1 import dispatch_pb2, run_pb2
from windlass.worker.outcome import FailedAttempt

if TYPE_CHECKING:
    from windlass.worker.processes.child_process import ChildProcess


def crashed(child: ChildProcess) -> list[FailedAttempt]:
    """Say of each attempt that `child` held how it ended: charged to it where it was alone there."""
    held = list(child.holds.values())
    alone = len(held) == 1
    crash = dispatch_pb2.CRASH_ALONE if alone else dispatch_pb2.CRASH_AMONG_OTHERS
    others = "" if alone else f", with {len(held) - 1} other attempts in it"
    failure = run_pb2.Failure(type="Crashed", message=f"the process that executed it {child.ended_by}{others}")
    return [FailedAttempt(each.lease_id, each.run_id, failure, crash=crash) for each in held]
