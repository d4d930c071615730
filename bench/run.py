"""Owns the order of a run: rounds, in each of them every system in turn, then the studies."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.row import Row, Study, Values
from bench.system import Running, System

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from bench.sizes import Sizes


@dataclass
class Outcome:
    """What a run brought."""

    # By system key, one entry for each round.
    rounds: dict[str, list[Values]] = field(default_factory=dict)
    studies: Values = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def _modules(package: str) -> list[ModuleType]:
    folder = importlib.import_module(package)
    return [importlib.import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)]


def all_systems() -> list[System]:
    """Peers, ours, bound."""
    systems = [s for module in _modules("bench.systems") for s in getattr(module, "SYSTEMS", ())]
    return sorted(systems, key=lambda system: (system.bound, system.fast))


def all_rows() -> list[Row | Study]:
    """In the order of their modules' PLACE."""
    modules = sorted(_modules("bench.rows"), key=lambda module: int(module.PLACE))
    return [row for module in modules for row in module.ROWS]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure_system(
    system: System, rows: Sequence[Row], sizes: Sizes, number: int, folder: Path, outcome: Outcome
) -> None:
    taken: Values = {}
    outcome.rounds.setdefault(system.key, []).append(taken)
    began = time.monotonic()
    with Running(system, folder) as running:
        outcome.versions.setdefault("store", running.store.version)
        running.ask("bulk", count=sizes.warm_up, patience_seconds=sizes.patience_seconds)
        running.ask("latency", count=10, patience_seconds=sizes.patience_seconds)
        for row in rows:
            if (row.once and number > 1) or (row.ability or "") not in system.abilities | {""}:
                continue
            taken.update(row.measure(running, sizes))
    shown = " ".join(
        f"{figure.key}={taken[figure.key]:,.{figure.digits}f}"
        for row in rows
        for figure in row.figures
        if figure.key in taken
    )
    _say(f"  {system.title} ({time.monotonic() - began:.0f} s): {shown}")


def run_all(systems: Sequence[System], rows: Sequence[Row | Study], sizes: Sizes, folder: Path) -> Outcome:
    """Measure; a system or study that fails is left out of its round and named in failures."""
    from bench.venvs import versions_in

    outcome = Outcome()
    measured = [row for row in rows if isinstance(row, Row)]
    for system in systems if measured else ():
        if system.shown:
            outcome.versions.update(versions_in(system.python(), system.shown))
    for number in range(1, sizes.rounds + 1 if measured else 1):
        _say(f"round {number} of {sizes.rounds}")
        for system in systems:
            try:
                _measure_system(system, measured, sizes, number, folder, outcome)
            except Exception as error:  # noqa: BLE001 - the edge of the loop: the others are still measured
                _fail(outcome, f"{system.title}, round {number}", error)
    for study in rows:
        if isinstance(study, Study):
            began = time.monotonic()
            try:
                values = study.measure(sizes, folder)
            except Exception as error:  # noqa: BLE001 - as above
                _fail(outcome, study.name, error)
                continue
            outcome.studies.update(values)
            shown = " ".join(f"{key}={value:,.2f}" for key, value in values.items())
            _say(f"{study.name} ({time.monotonic() - began:.0f} s): {shown}")
    return outcome


def _fail(outcome: Outcome, what: str, error: Exception) -> None:
    traceback.print_exc()
    lines = str(error).strip().splitlines() or [repr(error)]
    outcome.failures.append(f"{what}: {lines[0]} … {lines[-1]}" if lines[1:] else lines[0])
