"""Owns what a row of the benchmark is: its figures and the function that takes them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.sizes import Sizes
    from bench.system import Running

# By the key of the figure.
Values = dict[str, float]
# What a system still does for finished tasks when the client has its results counts to them.
SETTLE_SECONDS = 0.3


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    key: str
    title: str
    better: Literal["more", "less"]
    digits: int = 0


@dataclass(frozen=True)
class Row:
    """A measurement of a running system, taken of each system in each round."""

    name: str
    figures: tuple[Figure, ...]
    measure: Callable[[Running, Sizes], Values]
    # Only systems that can do this.
    ability: str | None = None
    # Taken in the first round alone: it doesn't vary.
    once: bool = False


@dataclass(frozen=True)
class Study:
    """A measurement of our engine alone, with a set-up of its own."""

    name: str
    figures: tuple[Figure, ...]
    measure: Callable[[Sizes, Path], Values]


def measure_load(running: Running, question: str, count: int, sizes: Sizes, key: str) -> Values:
    """Have the client submit `count` tasks and get their results: throughput, CPU, store load."""
    store_before, cpu_before = running.store.read(), running.cpu_seconds()
    answer = running.ask(question, count=count, patience_seconds=sizes.patience_seconds)
    time.sleep(SETTLE_SECONDS)
    cpu, store = running.cpu_seconds(), running.store.read()
    by_role = {role: (cpu[role] - cpu_before[role]) * 10_000 / count for role in cpu}
    return {
        f"{key}.tasks_per_s": count / answer["seconds"],
        f"{key}.cpu_s_per_10k": sum(by_role.values()),
        f"{key}.commands_per_task": (store.commands - store_before.commands) / count,
        f"{key}.written_per_task": (store.written_bytes - store_before.written_bytes) / count,
        f"{key}.trips_per_task": (store.reads - store_before.reads) / count,
        **{f"{key}.cpu_s_per_10k.{role}": seconds for role, seconds in by_role.items()},
    }


def count_for(running: Running, sizes: Sizes) -> int:
    """How many tasks make a measurement of about the same length for each system."""
    return sizes.fast_tasks if running.system.fast else sizes.tasks
