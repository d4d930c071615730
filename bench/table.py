"""Owns how results look: medians over rounds, the tables, and the two files they are kept in."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.aims import AIMS, Medians

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.row import Figure, Row, Study, Values
    from bench.system import System

_RESULTS = Path(__file__).resolve().parent / "results"
_REFERENCE, _OURS = "celery-prefork", "windlass"


def medians_of(rounds: Mapping[str, Sequence[Values]]) -> dict[str, Values]:
    """For each system the median of each figure over the rounds that have it."""
    medians: dict[str, Values] = {}
    for key, taken in rounds.items():
        figures = {figure for values in taken for figure in values}
        medians[key] = {
            figure: statistics.median(values[figure] for values in taken if figure in values)
            for figure in sorted(figures)
        }
    return medians


def _cell(figure: Figure, values: Values | None) -> str:
    if values is None or figure.key not in values:
        return "–"
    return f"{values[figure.key]:,.{figure.digits}f}"


def _ratio(figure: Figure, medians: Medians) -> str:
    ours = medians.get(_OURS, {}).get(figure.key)
    reference = medians.get(_REFERENCE, {}).get(figure.key)
    if ours is None or not reference:
        return "–"
    return f"{ours / reference:.2f}"


def _grid(header: list[str], lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]

    def row(cells: list[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([row(header), row(rule), *(row(line) for line in lines)])


def comparison(rows: Sequence[Row], systems: Sequence[System], medians: Medians) -> str:
    """One line per figure, one column per system, and ours in multiples of the reference."""
    header = ["figure", *(system.title for system in systems), "× Celery"]
    lines = [
        [
            figure.title,
            *(_cell(figure, medians.get(system.key)) for system in systems),
            _ratio(figure, medians),
        ]
        for row in rows
        for figure in row.figures
        if any(figure.key in medians.get(system.key, {}) for system in systems)
    ]
    return _grid(header, lines)


def cpu_by_role(systems: Sequence[System], medians: Medians) -> str:
    """Where the CPU seconds of the bulk row go."""
    prefix = "bulk.cpu_s_per_10k."
    roles = sorted({key for values in medians.values() for key in values if key.startswith(prefix)})
    shown = [system for system in systems if system.key in medians]
    lines = [
        [
            key.removeprefix(prefix),
            *(f"{medians[s.key][key]:.2f}" if key in medians[s.key] else "–" for s in shown),
        ]
        for key in roles
    ]
    return _grid(["CPU seconds per 10 k", *(system.title for system in shown)], lines)


def studies_table(studies: Sequence[Study], values: Values) -> str:
    """One line per figure of a study."""
    lines = [
        [figure.title, _cell(figure, values)] for study in studies for figure in study.figures if figure.key in values
    ]
    return _grid(["our engine alone", "figure"], lines)


def aims_table(medians: Medians) -> str:
    """One line per figure to reach for which the run has what it takes."""
    lines = []
    for aim in AIMS:
        try:
            value = aim.value(medians)
        except (KeyError, ZeroDivisionError):
            continue
        verdict = "yes" if aim.reached(value) else "NO"
        lines.append([aim.title, f"{aim.kind} {aim.bound:g}", f"{value:,.2f}", verdict])
    return _grid(["figure to reach", "aim", "now", "reached"], lines)


def keep(text: str, record: Mapping[str, Any]) -> Path:
    """Write results/latest.md and latest.json; the path of the former."""
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / "latest.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    path = _RESULTS / "latest.md"
    path.write_text(text)
    return path
