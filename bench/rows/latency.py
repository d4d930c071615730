"""Latency of one task at a time on an idle system, submit to result in the client."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.row import Figure, Row, Values

if TYPE_CHECKING:
    from bench.sizes import Sizes
    from bench.system import Running


def _latency(running: Running, sizes: Sizes) -> Values:
    answer = running.ask("latency", count=sizes.latency_samples, patience_seconds=sizes.patience_seconds)
    cuts = statistics.quantiles(answer["samples_ms"], n=100, method="inclusive")
    return {"latency.p50_ms": cuts[49], "latency.p95_ms": cuts[94], "latency.p99_ms": cuts[98]}


PLACE = 3
ROWS = (
    Row(
        "latency",
        (
            Figure("latency.p50_ms", "latency p50, ms", "less", 2),
            Figure("latency.p95_ms", "latency p95, ms", "less", 2),
            Figure("latency.p99_ms", "latency p99, ms", "less", 2),
        ),
        _latency,
    ),
)
