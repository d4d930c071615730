"""A worker that is stopped past its session comes back: what it says then is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import SHORT_SESSIONS, Ordeal
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

HELD = 20


def stop_a_worker_past_its_session(ordeal: Ordeal, *, heedless: bool) -> History:
    """The stopped worker's runs are given to another; it answers while that one still executes them.

    A heedless worker has no fence of its own: its late answers do reach the engine.
    """
    stopped = ordeal.worker("stopped", slots=HELD, heedless=heedless)
    ordeal.call(HELD, task="held")
    ordeal.until_begun(HELD)
    ordeal.lost(stopped)
    stopped.freeze()
    other = ordeal.worker("other", slots=200)
    ordeal.call()
    until(lambda: ordeal.begun_by(other, "held") == HELD, "the stopped worker's runs begin elsewhere")
    ordeal.open_gate(stopped)
    stopped.thaw()
    if heedless:
        until(lambda: stopped.refusals() + ordeal.answered("held") == HELD, "its late answers are judged")
    else:
        until(lambda: stopped.welcomes() == 2, "it notices that its session is over, and connects again")
    ordeal.open_gate(other)
    return ordeal.history()


@pytest.mark.parametrize("heedless", [False, True], ids=["worker that minds its deadline", "heedless worker"])
def test_late_answers_of_a_stopped_worker_change_nothing(tmp_path: Path, heedless: bool) -> None:
    """The runs end once, with the results of the second execution."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS) as ordeal:
        history = stop_a_worker_past_its_session(ordeal, heedless=heedless)
        assert check(history) == []
        assert sum(each.worker_id in history.lost_workers for each in history.executions) == HELD


def test_checker_sees_a_late_answer_that_is_taken(tmp_path: Path) -> None:
    """Negative control: a completion is taken whatever its lease."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS, without="a completion needs the exact lease") as ordeal:
        ordeal.patience = 60.0  # here nothing is lost
        rules = broken_rules(stop_a_worker_past_its_session(ordeal, heedless=True))
        assert {"results_are_the_accepted_leases", "nothing_is_held"} <= rules
