"""What gates cost: a task with one concurrency key and one rate limit, against the plain one."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.row import Figure, Study, Values, measure_load
from bench.system import Running
from bench.systems.windlass import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.sizes import Sizes

_ROUNDS: Final = 3
_LOADS: Final = ("bulk", "singles")
_TASKS: Final = ("noop", "gated")


def _gates(sizes: Sizes, folder: Path) -> Values:
    taken: dict[tuple[str, str], list[float]] = {}
    count = sizes.fast_tasks // 2
    with ExitStack() as stack:
        running = {}
        for task in _TASKS:
            system = replace(SYSTEMS[0], options={**SYSTEMS[0].options, "task": task})
            running[task] = stack.enter_context(Running(system, folder))
            running[task].ask("bulk", count=sizes.warm_up, patience_seconds=sizes.patience_seconds)
        for _ in range(_ROUNDS):
            for load in _LOADS:
                for task in _TASKS:
                    values = measure_load(running[task], load, count, sizes, load)
                    taken.setdefault((load, task), []).append(values[f"{load}.tasks_per_s"])
    values = {}
    for load in _LOADS:
        plain, gated = (statistics.median(taken[load, task]) for task in _TASKS)
        values |= {f"gates.{load}": gated, f"gates.{load}_ratio": gated / plain}
    return values


PLACE = 8
ROWS = (
    Study(
        "gates",
        tuple(
            figure
            for load in _LOADS
            for figure in (
                Figure(f"gates.{load}", f"{load} with a concurrency key and a rate limit, tasks/s", "more"),
                Figure(f"gates.{load}_ratio", f"{load} with a concurrency key and a rate limit, × plain", "more", 2),
            )
        ),
        _gates,
    ),
)
