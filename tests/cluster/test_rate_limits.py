"""A rate limit is one for all workers: in no window do more attempts start than it has units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.history import check
from tests.support.journalled_app import STARTS_PER_SECOND
from tests.support.ordeal import Ordeal
from tests.support.store_keys import StoreKeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUNS = 4 * STARTS_PER_SECOND
WINDOW_MS = 1_000


def starts_per_window(starts_ms: Sequence[int]) -> list[int]:
    """How many starts each window has: one begins with the first start after the last has ended."""
    windows: list[int] = []
    end = 0
    for start in sorted(starts_ms):
        if start >= end:
            end = start + WINDOW_MS
            windows.append(0)
        windows[-1] += 1
    return windows


def share_a_limit(ordeal: Ordeal) -> list[int]:
    """Three workers, each with room for all; the times of the starts, by the store's clock."""
    ordeal.workers("one", "two", "three", tasks=["limited"])
    ordeal.call(RUNS, task="limited").result()
    with StoreKeys(ordeal.cluster.store_url) as store:
        runs = store.members("done")
        return [int(store.field(f"r:{entry.partition(' ')[2]}", "s")) for entry in runs]


def test_a_limit_is_one_for_all_workers(tmp_path: Path) -> None:
    """It is used up, and never exceeded; all workers have a part in it; all runs end."""
    with Ordeal(tmp_path) as ordeal:
        starts = share_a_limit(ordeal)
        assert len(starts) == RUNS
        assert max(starts_per_window(starts)) == STARTS_PER_SECOND
        history = ordeal.history()
        assert len({each.worker_id for each in history.executions}) > 1
        assert check(history) == []


def test_starts_beyond_the_limit_are_seen(tmp_path: Path) -> None:
    """Negative control: what was used in a window is not remembered."""
    with Ordeal(tmp_path, without="units that are used are used") as ordeal:
        assert max(starts_per_window(share_a_limit(ordeal))) > STARTS_PER_SECOND
