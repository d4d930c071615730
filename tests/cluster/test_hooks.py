"""Hooks while what starts and executes them is killed: each end has one, told of that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import broken_rules, check
from tests.support.ordeal import FEW_RUNS, SHORT_SESSIONS, Ordeal

if TYPE_CHECKING:
    from pathlib import Path

#: Services say which incarnation they are.
TALKATIVE = {"WINDLASS_LOG_LEVEL": "INFO", **SHORT_SESSIONS}


def test_the_scheduler_and_a_worker_die_in_the_midst_of_hooks(tmp_path: Path) -> None:
    """What was owed is started by the next one; what was executing is executed again."""
    with Ordeal(tmp_path, schedulers=2, settings=TALKATIVE) as ordeal:
        one, _other = ordeal.workers("one", "other", tasks=("ordered",))
        ordeal.call(task="ordered", milliseconds=5)
        ordeal.until_begun(ordeal.runs // 4)
        ordeal.owning_scheduler().kill()
        ordeal.until_begun(ordeal.runs // 2)
        ordeal.lost(one)
        one.kill()
        ordeal.until_answered()
        ordeal.until_ended()
        history = ordeal.history()
    assert check(history) == []
    assert sum(bool(run.follows) for run in history.runs.values()) == ordeal.runs


def test_replayed_runs_have_a_hook_for_each_end(tmp_path: Path) -> None:
    """That of the first end stays, the second end has its own."""
    with Ordeal(tmp_path, settings=TALKATIVE) as ordeal:
        ordeal.workers("one", tasks=("ordered",))
        ordeal.call(FEW_RUNS, task="ordered", milliseconds=5)
        ordeal.until_answered()
        ordeal.until_ended()
        # Hooks are runs like any others: they begin anew too.
        assert ordeal.replay() == 2 * FEW_RUNS
        ordeal.until_ended()
        history = ordeal.history()
    assert check(history) == []
    assert sum(bool(run.follows) for run in history.runs.values()) == 2 * FEW_RUNS


def test_checker_sees_hooks_that_run_twice(tmp_path: Path) -> None:
    """Negative control: what was started stays owed, and is started again."""
    with Ordeal(tmp_path, settings=TALKATIVE, without="an end has one hook") as ordeal:
        ordeal.workers("one", tasks=("ordered",))
        ordeal.call(task="ordered", milliseconds=5)
        ordeal.until_answered()
        history = ordeal.history()
    assert broken_rules(history) & {"runs_end_once", "attempts_execute_once", "executions_do_not_overlap"}
