"""What traces cost: one run in a hundred recorded, against none and nothing asked for."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.otlp_sink import sink
from bench.row import Figure, Study, Values, measure_load
from bench.system import Running
from bench.systems.windlass import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bench.sizes import Sizes

_REPEATS = 3
# Twice the time after which spans are sent, unless one asks otherwise.
_EXPORT_SECONDS = 10.0
_LOADS = ("bulk", "singles")
_SAMPLING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What all processes of the engine, the worker and the client inherit."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def _measure(sizes: Sizes, folder: Path, variables: Mapping[str, str]) -> Values:
    taken: Values = {}
    with _environment(variables), Running(SYSTEMS[0], folder) as running:
        for load in _LOADS:
            running.ask(load, count=sizes.fast_tasks // 2, patience_seconds=sizes.patience_seconds)
        time.sleep(_EXPORT_SECONDS)  # each process has connected to the sink once
        for load in _LOADS:
            taken |= measure_load(running, load, sizes.fast_tasks, sizes, load)
    return taken


def _tracing(sizes: Sizes, folder: Path) -> Values:
    off: list[Values] = []
    on: list[Values] = []
    with sink() as endpoint:
        variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, **_SAMPLING}
        for _ in range(_REPEATS):  # in turn: a slow minute hits both
            off.append(_measure(sizes, folder, {}))
            on.append(_measure(sizes, folder, variables))
    values: Values = {}
    for load in _LOADS:
        key = f"{load}.cpu_s_per_10k"
        without, with_ = (statistics.median(taken[key] for taken in each) for each in (off, on))
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
