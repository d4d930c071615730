"""What queued runs cost: throughput beside and within a long queue, and bytes of the store for each."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from bench.payload import make_input
from bench.row import Figure, Study, Values
from bench.system import Running
from bench.systems.windlass import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.sizes import Sizes

# Runs drained before the clock starts: the worker's first.
_SKIPPED = 1_000
_REPEATS = 3


def _bulk_rate(running: Running, sizes: Sizes) -> float:
    rates = []
    for _ in range(_REPEATS):
        count = sizes.fast_tasks // 2
        answer = running.ask("bulk", count=count, patience_seconds=sizes.patience_seconds)
        rates.append(count / answer["seconds"])
    return float(statistics.median(rates))


def _park(running: Running, sizes: Sizes, count: int, task: str, keep: int = 0) -> float:
    """Runs accepted per second."""
    patience = sizes.patience_seconds + count / 2_000
    answer = running.ask("park", count=count, task=task, keep=keep, patience_seconds=patience)
    seconds: float = answer["seconds"]
    return float(count) / seconds


def _parked(sizes: Sizes, folder: Path) -> Values:
    """Runs queued in a queue that no worker serves, while another is worked at."""
    with Running(SYSTEMS[0], folder) as running:
        running.ask("bulk", count=sizes.warm_up, patience_seconds=sizes.patience_seconds)
        _park(running, sizes, sizes.backlog_small, "parked")
        few = _bulk_rate(running, sizes)
        before = running.store.read().used_bytes
        added = sizes.backlog_large - sizes.backlog_small
        rate = _park(running, sizes, added, "parked")
        time.sleep(1)
        stored = (running.store.read().used_bytes - before) / added
        many = _bulk_rate(running, sizes)
    payload = len(json.dumps(make_input(sizes.backlog_large), separators=(",", ":")))
    return {
        "backlog.parked_few": few,
        "backlog.parked_many": many,
        "backlog.parked_ratio": many / few,
        "backlog.submit_rate": rate,
        "backlog.bytes_per_run": stored - payload,
    }


def _drain_rate(sizes: Sizes, folder: Path, queued: int) -> float:
    """Results per second of the first of `queued` runs, all in the lane that the worker serves."""
    with Running(SYSTEMS[0], folder, workers=False) as running:
        _park(running, sizes, queued, "noop", keep=sizes.drained)
        running.start_workers()
        answer = running.ask("drain", skipped=_SKIPPED, patience_seconds=sizes.patience_seconds)
        return float(answer["per_second"])


def _backlog(sizes: Sizes, folder: Path) -> Values:
    few = _drain_rate(sizes, folder, sizes.drained + sizes.backlog_small)
    many = _drain_rate(sizes, folder, sizes.backlog_large)
    return {
        **_parked(sizes, folder),
        "backlog.drain_few": few,
        "backlog.drain_many": many,
        "backlog.drain_ratio": many / few,
    }


PLACE = 5
ROWS = (
    Study(
        "backlog",
        (
            Figure("backlog.parked_few", "tasks/s, 1 k runs queued elsewhere", "more"),
            Figure("backlog.parked_many", "tasks/s, 1 M runs queued elsewhere (50 k when quick)", "more"),
            Figure("backlog.drain_few", "tasks/s drained, 1 k runs behind them", "more"),
            Figure("backlog.drain_many", "tasks/s drained, 1 M runs behind them (50 k when quick)", "more"),
            Figure("backlog.submit_rate", "runs accepted/s into a queue that grows", "more"),
            Figure("backlog.bytes_per_run", "store bytes per queued run, payload apart", "less"),
        ),
        _backlog,
    ),
)
