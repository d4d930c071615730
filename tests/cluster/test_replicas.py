"""Two dispatchers and two schedulers, of which one each is killed and does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import Ordeal

if TYPE_CHECKING:
    from pathlib import Path

#: Services say which incarnation they are.
TALKATIVE = {"WINDLASS_LOG_LEVEL": "INFO"}


def kill_the_active_ones(ordeal: Ordeal) -> History:
    """The dispatcher that has a worker and the scheduler that owns the shard die together."""
    one, _other = ordeal.workers("one", "other")
    ordeal.call()
    ordeal.until_begun(ordeal.runs // 4)
    ordeal.dispatcher_of(one).kill()
    ordeal.owning_scheduler().kill()
    return ordeal.history()


def test_the_others_go_on(tmp_path: Path) -> None:
    """Nothing is lost, and nothing that a worker holds is executed again."""
    with Ordeal(tmp_path, dispatchers=2, schedulers=2, settings=TALKATIVE) as ordeal:
        assert check(kill_the_active_ones(ordeal)) == []


def test_checker_sees_a_second_scheduler_that_never_takes_over(tmp_path: Path) -> None:
    """Negative control: the dead scheduler keeps the shard."""
    with Ordeal(
        tmp_path, dispatchers=2, schedulers=2, settings=TALKATIVE, without="a dead scheduler's shard falls free"
    ) as ordeal:
        assert "acknowledged_runs_end" in broken_rules(kill_the_active_ones(ordeal))
