"""Never are more runs of a key under way than it has permits, whoever is killed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import SHORT_SESSIONS, Ordeal
from tests.support.worker_thread import running_worker
from windlass import ConcurrencyExpression, Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 400
KEYS = 10
RULE = "keys_have_no_more_runs_than_permits"


def kill_a_worker_that_has_permits(ordeal: Ordeal) -> History:
    """Two workers, each with room for all; ten keys with two permits each; one worker dies with its hands full."""
    one, _other = ordeal.workers("one", "other", tasks=["keyed"])
    ordeal.call(RUNS, task="keyed", keys=KEYS)
    ordeal.until_begun(RUNS // 4)
    ordeal.lost(one)
    one.kill()
    return ordeal.history()


def test_permits_are_kept_through_the_kill_of_a_worker(tmp_path: Path) -> None:
    """What it held keeps its permits until it ends elsewhere; all of the others come to their turn."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS) as ordeal:
        history = kill_a_worker_that_has_permits(ordeal)
        assert any(each.ended_at is None for each in history.executions), "it held nothing when it was killed"
        assert {each.key for each in history.executions} == {f"key-{i}" for i in range(KEYS)}
        assert check(history) == []


def test_checker_sees_permits_that_nobody_takes(tmp_path: Path) -> None:
    """Negative control: a key lets as many pass as it has permits, however many are taken."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS, without="a permit that is taken is taken") as ordeal:
        assert RULE in broken_rules(kill_a_worker_that_has_permits(ordeal))


def test_checker_sees_permits_that_are_lost_with_a_worker(tmp_path: Path) -> None:
    """Negative control: what a reaped worker held is given to others before it has ended."""
    with Ordeal(tmp_path, settings=SHORT_SESSIONS, without="a lost run keeps its permits") as ordeal:
        assert RULE in broken_rules(kill_a_worker_that_has_permits(ordeal))


def test_a_key_with_very_many_runs_keeps_nobody_waiting() -> None:
    """10,000 runs of one key wait; each of nine others is begun in its turn."""
    order: list[str] = []
    with start_engine() as engine, Windlass(config=engine.config) as app:

        @app.task(concurrency=ConcurrencyExpression("input.user", max_runs=1))
        def render(user: str) -> None:
            order.append(user)

        items = [render.create_bulk_run_item("many") for _ in range(10_000)]
        render.run_many(items, wait_for_result=False)
        few = [render.delay(f"user-{i}") for _ in range(3) for i in range(9)]
        with running_worker(app, slots=1):
            for ref in few:
                ref.result(timeout=60)
    # A run may have begun whose end nobody had heard of; and one of `many` has its turn in each round.
    assert len(order[: order.index("user-8")]) <= 2 * 10
    last = max(place for place, user in enumerate(order) if user != "many")
    assert last <= 2 * 30
