"""Runs that are replayed while things go wrong: each ends exactly once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import check
from tests.support.ordeal import FEW_RUNS, SHORT_SESSIONS, Ordeal

if TYPE_CHECKING:
    from pathlib import Path


def test_a_worker_dies_in_the_midst_of_a_replay(tmp_path: Path) -> None:
    """What completed and what failed begins anew; what is lost with the worker is executed again."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS) as ordeal:
        one, _other = ordeal.workers("one", "other")
        ordeal.call(FEW_RUNS, milliseconds=500)
        ordeal.until_answered()
        begun = ordeal.journal.begun()
        assert ordeal.replay() == FEW_RUNS
        ordeal.until_begun(begun + FEW_RUNS // 4)
        ordeal.lost(one)
        one.kill()
        ordeal.until_ended()
        history = ordeal.history()
    assert check(history) == []
    assert {run.replays for run in history.runs.values()} == {1}
