"""Kill -9 of each part of the engine while 2,000 runs are under way: each ends exactly once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import SHORT_SESSIONS, Ordeal
from tests.support.tcp_proxy import TcpProxy
from tests.support.until import until
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from pathlib import Path

UNDELIVERED = 100


def kill_a_worker(ordeal: Ordeal) -> History:
    """One of two workers dies with its hands full."""
    one, _other = ordeal.workers("one", "other")
    ordeal.call()
    ordeal.until_begun(ordeal.runs // 4)
    ordeal.lost(one)
    one.kill()
    return ordeal.history()


def kill_the_dispatcher(ordeal: Ordeal) -> History:
    """The dispatcher dies with undelivered work in its inbox, and comes back on its port."""
    ordeal.workers("one", "other", slots=400)
    dispatcher = ordeal.cluster.processes("dispatcher")[0]
    ordeal.call()
    ordeal.until_begun(ordeal.runs // 4)
    dispatcher.send(signal.SIGSTOP)
    ordeal.call(UNDELIVERED)
    until(lambda: ordeal.count(Phase.LEASED) >= UNDELIVERED, "work is on its way through the dispatcher")
    dispatcher.kill()
    dispatcher.restart()
    return ordeal.history()


def kill_the_scheduler(ordeal: Ordeal) -> History:
    """The scheduler dies while runs wait for workers and retries for their time, and comes back."""
    ordeal.workers("one", "other")
    scheduler = ordeal.cluster.processes("scheduler")[0]
    ordeal.call()
    ordeal.until_begun(ordeal.runs // 4)
    scheduler.kill()
    scheduler.restart()
    return ordeal.history()


def kill_the_api(ordeal: Ordeal) -> History:
    """The api dies when it has stored submits that it has not acknowledged, and comes back on its port."""
    ordeal.workers("one", "other")
    api = ordeal.cluster.processes("api")[0]
    with TcpProxy(ordeal.cluster.api_address) as way:
        ordeal.call(api_address=way.address)
        ordeal.until_begun(ordeal.runs // 4)
        way.withhold_answers()
        stored = ordeal.stored()
        ordeal.call(UNDELIVERED, api_address=way.address)
        until(lambda: ordeal.stored() > stored, "a submit is stored of which nobody hears")
        # What is stored once more by mistake ends once more then, whoever is faster.
        ordeal.until_ended()
        api.kill()
        way.drop()
        way.pass_answers()
        api.restart()
        return ordeal.history()


def test_work_of_a_killed_worker_is_done_by_the_other(tmp_path: Path) -> None:
    """What it held is executed again once its session has expired; nothing else is."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS) as ordeal:
        history = kill_a_worker(ordeal)
        assert any(each.ended_at is None for each in history.executions), "it held nothing when it was killed"
        assert check(history) == []


def test_checker_sees_lost_work_of_a_killed_worker(tmp_path: Path) -> None:
    """Negative control: the reaper queues nothing again."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS, without="an expired session's work is queued again") as ordeal:
        ordeal.patience = 8.0
        rules = broken_rules(kill_a_worker(ordeal))
        assert "acknowledged_runs_end" in rules
        assert "nothing_is_held" not in rules, "the session had not been reaped yet: this proves nothing"


def test_killed_dispatcher_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Workers go on, connect again, and get what was on its way to them."""
    with Ordeal(tmp_path) as ordeal:
        assert check(kill_the_dispatcher(ordeal)) == []


def test_checker_sees_work_that_is_never_delivered(tmp_path: Path) -> None:
    """Negative control: a worker's Hello brings nothing back."""
    with Ordeal(tmp_path, without="a Hello brings back what is leased and not held") as ordeal:
        assert "acknowledged_runs_end" in broken_rules(kill_the_dispatcher(ordeal))


def test_killed_scheduler_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """What was to be matched is remembered in the store."""
    with Ordeal(tmp_path) as ordeal:
        assert check(kill_the_scheduler(ordeal)) == []


def test_checker_sees_that_nobody_schedules(tmp_path: Path) -> None:
    """Negative control: the dead scheduler keeps the shard."""
    with Ordeal(tmp_path, without="a dead scheduler's shard falls free") as ordeal:
        assert "acknowledged_runs_end" in broken_rules(kill_the_scheduler(ordeal))


def test_killed_api_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """The client submits again what was not acknowledged, and gets every result."""
    with Ordeal(tmp_path) as ordeal:
        assert check(kill_the_api(ordeal)) == []


def test_checker_sees_submits_that_are_stored_twice(tmp_path: Path) -> None:
    """Negative control: a run that is there already is taken for a new one."""
    with Ordeal(tmp_path, without="a run that is there is not stored again") as ordeal:
        assert "runs_end_once" in broken_rules(kill_the_api(ordeal))
