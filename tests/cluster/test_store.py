"""The store is killed under load and comes back with its append-only file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import Ordeal
from tests.support.store_keys import StoreKeys

if TYPE_CHECKING:
    from pathlib import Path


def kill_the_store(ordeal: Ordeal) -> History:
    """It is away for as long as its start takes."""
    ordeal.workers("one", "other")
    ordeal.call()
    ordeal.until_begun(ordeal.runs // 4)
    store = ordeal.cluster.processes("store")[0]
    store.kill()
    store.restart()
    return ordeal.history()


def test_killed_store_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """What it had acknowledged is there again, and so are all leases: nobody is reaped for its absence."""
    with Ordeal(tmp_path) as ordeal:
        assert check(kill_the_store(ordeal)) == []


def test_checker_sees_that_the_store_forgot(tmp_path: Path) -> None:
    """Negative control: it keeps no append-only file."""
    with Ordeal(tmp_path, loses_data=True) as ordeal:
        with StoreKeys(ordeal.cluster.store_url) as store:
            store.redis.config_set("appendonly", "no")
        assert "acknowledged_runs_end" in broken_rules(kill_the_store(ordeal))
