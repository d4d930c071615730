"""Owns how much each row does: every count and time of a run, in full and quick."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts of tasks and seconds; one object for a whole run."""

    rounds: int
    # Tasks per measurement of a peer; of ours and the bare path, which are about ten times faster.
    tasks: int
    fast_tasks: int
    # Acknowledged submits one after another.
    submits: int
    latency_samples: int
    warm_up: int
    idle_seconds: float
    # Runs queued in the two cases of the backlog row.
    backlog_small: int
    backlog_large: int
    # Runs drained from the backlog in the served lane.
    drained: int
    stream_workers: int
    # How long any one measurement may take before it counts as failed.
    patience_seconds: float


FULL = Sizes(
    rounds=3,
    tasks=4_000,
    fast_tasks=40_000,
    submits=2_000,
    latency_samples=500,
    warm_up=300,
    idle_seconds=10.0,
    backlog_small=1_000,
    backlog_large=1_000_000,
    drained=20_000,
    stream_workers=1_000,
    patience_seconds=180.0,
)

QUICK = Sizes(
    rounds=1,
    tasks=1_500,
    fast_tasks=15_000,
    submits=500,
    latency_samples=150,
    warm_up=100,
    idle_seconds=3.0,
    backlog_small=1_000,
    backlog_large=50_000,
    drained=10_000,
    stream_workers=1_000,
    patience_seconds=60.0,
)
