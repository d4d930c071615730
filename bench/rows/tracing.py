"""What traces cost: one run in a hundred recorded, against none and nothing asked for.

A bulk is recorded as a whole or not at all. Of a few bulks at one in a hundred none would be, or far too
many: what one costs in a hundred is reckoned from a system that records none, and one that records all.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from bench.otlp_sink import sink
from bench.row import Figure, Study, Values, measure_load
from bench.system import Running
from bench.systems.windlass import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bench.sizes import Sizes

_ROUNDS: Final = 7
# Twice the time after which spans are sent, unless one asks otherwise.
_EXPORT_SECONDS: Final = 10.0
_LOADS: Final = ("bulk", "singles")
_SHARE: Final = 0.01
# What is recorded by the systems that are measured; None: nothing is asked for.
_SYSTEMS: Final = {"off": None, "none": 0.0, "share": _SHARE, "all": 1.0}
# By load, what its figure for one in a hundred is made of.
_PARTS: Final = {"bulk": {"none": 1 - _SHARE, "all": _SHARE}, "singles": {"share": 1.0}}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What all processes of the engine, the worker and the client inherit."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def _start(share: float | None, endpoint: str, folder: Path, stack: ExitStack) -> Running:
    variables = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }
    with _environment({} if share is None else variables):
        return stack.enter_context(Running(SYSTEMS[0], folder))


def _medians(sizes: Sizes, folder: Path) -> dict[tuple[str, str], float]:
    """CPU seconds per 10 k by load and system: all are up, and each load goes to one after the other."""
    taken: dict[tuple[str, str], list[float]] = {}
    with sink() as endpoint, ExitStack() as stack:
        running = {name: _start(share, endpoint, folder, stack) for name, share in _SYSTEMS.items()}
        for load in _LOADS:
            for system in running.values():
                system.ask(load, count=sizes.fast_tasks // 2, patience_seconds=sizes.patience_seconds)
        time.sleep(_EXPORT_SECONDS)  # each process has connected to the sink once
        for _ in range(_ROUNDS):
            for load, parts in _PARTS.items():
                for name in ("off", *parts):
                    values = measure_load(running[name], load, sizes.fast_tasks // 2, sizes, load)
                    taken.setdefault((load, name), []).append(values[f"{load}.cpu_s_per_10k"])
    return {key: statistics.median(values) for key, values in taken.items()}


def _tracing(sizes: Sizes, folder: Path) -> Values:
    medians = _medians(sizes, folder)
    values: Values = {}
    for load, parts in _PARTS.items():
        without = medians[load, "off"]
        with_ = sum(weight * medians[load, name] for name, weight in parts.items())
        values[f"tracing.{load}_off"] = without
        values[f"tracing.{load}_on"] = with_
        values[f"tracing.{load}_ratio"] = without / with_
    return values


PLACE = 7
ROWS = (
    Study(
        "tracing",
        tuple(
            Figure(f"tracing.{load}_{state}", f"CPU seconds per 10 k, {load}, {title}", "less", 2)
            for load in _LOADS
            for state, title in (("off", "no traces"), ("on", "1 % of runs traced"))
        ),
        _tracing,
    ),
)
