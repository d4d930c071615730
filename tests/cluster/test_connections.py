"""Connections that break under load: nothing whose lease lives is executed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import History, broken_rules, check
from tests.support.ordeal import Ordeal
from tests.support.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from pathlib import Path

DROPS = 4


def drop_connections(ordeal: Ordeal) -> History:
    """The workers' streams and the caller's session are cut, several times."""
    with (
        TcpProxy(ordeal.dispatcher_address) as to_dispatcher,
        TcpProxy(ordeal.cluster.api_address) as to_api,
    ):
        ordeal.workers("one", "other", dispatcher_address=to_dispatcher.address)
        ordeal.call(api_address=to_api.address)
        for drop in range(DROPS):
            ordeal.until_begun((drop + 1) * ordeal.runs // (DROPS + 1))
            to_dispatcher.drop()
            to_api.drop()
        return ordeal.history()


def test_dropped_connections_repeat_nothing(tmp_path: Path) -> None:
    """Workers keep what they hold, and answer on the next connection; callers get every result."""
    with Ordeal(tmp_path) as ordeal:
        assert check(drop_connections(ordeal)) == []


def test_checker_sees_work_taken_from_a_worker_that_comes_back(tmp_path: Path) -> None:
    """Negative control: on its return the worker is told that it holds nothing."""
    with Ordeal(tmp_path, without="a Hello keeps what is held") as ordeal:
        assert "acknowledged_runs_end" in broken_rules(drop_connections(ordeal))
