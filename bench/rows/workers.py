"""One dispatcher with a thousand connected workers against one with a single worker."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from bench.processes import ChildFailed
from bench.row import Figure, Study, Values, measure_load
from bench.system import Running
from bench.systems.windlass import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.sizes import Sizes

# Of each worker: the freest gets the next handful, so a thousand of them have a few tasks each.
_SLOTS = 200
_REPEATS = 3
_CONNECT_SECONDS = 60.0


def _wait_for_workers(running: Running, count: int) -> None:
    deadline = time.monotonic() + _CONNECT_SECONDS
    while running.ask("workers", patience_seconds=_CONNECT_SECONDS)["count"] < count:
        if time.monotonic() > deadline:
            raise ChildFailed(f"{count} workers did not connect within {_CONNECT_SECONDS:.0f} s")
        time.sleep(0.2)


def _measure(sizes: Sizes, folder: Path, count: int) -> dict[str, float]:
    system = SYSTEMS[0]
    with Running(system, folder, workers=False) as running:
        running.start("streams", {**running.target, "slots": _SLOTS, "count": count})
        _wait_for_workers(running, count)
        running.ask("bulk", count=sizes.warm_up, patience_seconds=sizes.patience_seconds)
        taken = [measure_load(running, "bulk", sizes.fast_tasks // 2, sizes, "load") for _ in range(_REPEATS)]
    return {key: statistics.median(values[key] for values in taken) for key in taken[0]}


def _workers(sizes: Sizes, folder: Path) -> Values:
    one = _measure(sizes, folder, 1)
    many = _measure(sizes, folder, sizes.stream_workers)
    return {
        "workers.one": one["load.tasks_per_s"],
        "workers.many": many["load.tasks_per_s"],
        "workers.ratio": many["load.tasks_per_s"] / one["load.tasks_per_s"],
        "workers.one_dispatcher_cpu": one["load.cpu_s_per_10k.dispatcher"],
        "workers.many_dispatcher_cpu": many["load.cpu_s_per_10k.dispatcher"],
        "workers.many_streams_cpu": many["load.cpu_s_per_10k.streams"],
    }


PLACE = 6
ROWS = (
    Study(
        "workers",
        (
            Figure("workers.one", "tasks/s, 1 stream worker", "more"),
            Figure("workers.many", "tasks/s, 1,000 stream workers", "more"),
            Figure("workers.one_dispatcher_cpu", "dispatcher's CPU seconds per 10 k, 1 worker", "less", 2),
            Figure("workers.many_dispatcher_cpu", "dispatcher's CPU seconds per 10 k, 1,000 workers", "less", 2),
            Figure("workers.many_streams_cpu", "CPU seconds per 10 k of the 1,000 workers", "less", 2),
        ),
        _workers,
    ),
)
