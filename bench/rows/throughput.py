"""End-to-end throughput, its CPU and its store load: submitted in bulk, and one call per task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.row import Figure, Row, Values, count_for, measure_load

if TYPE_CHECKING:
    from bench.sizes import Sizes
    from bench.system import Running


def _bulk(running: Running, sizes: Sizes) -> Values:
    return measure_load(running, "bulk", count_for(running, sizes), sizes, "bulk")


def _singles(running: Running, sizes: Sizes) -> Values:
    return measure_load(running, "singles", count_for(running, sizes), sizes, "singles")


PLACE = 1
ROWS = (
    Row(
        "bulk",
        (
            Figure("bulk.tasks_per_s", "end to end, bulk submits, tasks/s", "more"),
            Figure("bulk.cpu_s_per_10k", "CPU seconds per 10 k tasks, bulk", "less", 2),
            Figure("bulk.commands_per_task", "store commands per task, bulk", "less", 1),
            Figure("bulk.trips_per_task", "store round trips per task, bulk", "less", 3),
            Figure("bulk.written_per_task", "bytes written to the store's log per task, bulk", "less"),
        ),
        _bulk,
    ),
    Row(
        "singles",
        (
            Figure("singles.tasks_per_s", "end to end, single submits, tasks/s", "more"),
            Figure("singles.cpu_s_per_10k", "CPU seconds per 10 k tasks, single", "less", 2),
        ),
        _singles,
    ),
)
