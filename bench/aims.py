"""Owns the figures to reach: each is computed from a finished run and held against its bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.row import Values

# Medians: by system key, then figure key. Studies stand under "studies".
Medians = Mapping[str, Values]
_OURS, _CELERY, _BARE, _STUDIES = "windlass", "celery-prefork", "bare", "studies"


@dataclass(frozen=True)
class Aim:
    """`value` raises KeyError where the run lacks a figure that it needs."""

    title: str
    kind: Literal["at least", "at most"]
    bound: float
    value: Callable[[Medians], float]

    def reached(self, value: float) -> bool:
        """Whether the value keeps to the bound."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound


def _times_celery(key: str, celery_key: str | None = None) -> Callable[[Medians], float]:
    return lambda medians: medians[_OURS][key] / medians[_CELERY][celery_key or key]


def _ours(key: str) -> Callable[[Medians], float]:
    return lambda medians: medians[_OURS][key]


def _study(key: str) -> Callable[[Medians], float]:
    return lambda medians: medians[_STUDIES][key]


def _times_bare(key: str) -> Callable[[Medians], float]:
    return lambda medians: medians[_OURS][key] / medians[_BARE][key]


AIMS = (
    Aim("end to end, bulk, × Celery prefork", "at least", 10, _times_celery("bulk.tasks_per_s")),
    Aim("end to end, single, × Celery prefork", "at least", 6, _times_celery("singles.tasks_per_s")),
    Aim("submits one by one, × Celery prefork", "at least", 0.8, _times_celery("submit.per_s")),
    Aim(
        "submits in app.batch(), × Celery prefork",
        "at least",
        10,
        _times_celery("submit_batch.per_s", "submit.per_s"),
    ),
    Aim("CPU seconds per 10 k tasks, bulk", "at most", 2.0, _ours("bulk.cpu_s_per_10k")),
    Aim("latency p50, × Celery prefork", "at most", 1.3, _times_celery("latency.p50_ms")),
    Aim("latency p99, × Celery prefork", "at most", 1.5, _times_celery("latency.p99_ms")),
    Aim("store commands per idle second", "at most", 5, _ours("idle.commands_per_s")),
    Aim("bulk with many queued elsewhere, × few", "at least", 0.75, _study("backlog.parked_ratio")),
    Aim("drain with many queued in its lane, × few", "at least", 0.75, _study("backlog.drain_ratio")),
    Aim("store bytes per queued run", "at most", 800, _study("backlog.bytes_per_run")),
    Aim("1,000 workers, × 1 worker", "at least", 0.8, _study("workers.ratio")),
    Aim("throughput by CPU, bulk, 1 % traced × no traces", "at least", 0.95, _study("tracing.bulk_ratio")),
    Aim("throughput by CPU, single, 1 % traced × no traces", "at least", 0.95, _study("tracing.singles_ratio")),
    Aim("bulk with a concurrency key and a rate limit, × plain", "at least", 0.5, _study("gates.bulk_ratio")),
    Aim("bulk, × bare path", "at least", 0.4, _times_bare("bulk.tasks_per_s")),
)
