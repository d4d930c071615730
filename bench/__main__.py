"""`python -m bench`: measure, print the tables, keep them in bench/results."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import table
from bench.machine import describe_machine
from bench.row import Row, Study
from bench.run import Outcome, all_rows, all_systems, run_all
from bench.sizes import FULL, QUICK, Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from bench.system import System


def _arguments(systems: Sequence[System], rows: Sequence[Row | Study]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of twenty (or QUICK=1)")
    parser.add_argument("--only", action="append", choices=[row.name for row in rows], help="this row; repeatable")
    parser.add_argument(
        "--peer",
        action="append",
        choices=[system.key for system in systems],
        help="this system; repeatable",
    )
    parser.add_argument("--rounds", type=int, help="in place of 3, or of 1 when quick")
    parser.add_argument("--no-keep", action="store_true", help="print only, leave bench/results as it is")
    return parser.parse_args()


def _text(outcome: Outcome, systems: Sequence[System], rows: Sequence[Row | Study], facts: dict[str, str]) -> str:
    medians = {**table.medians_of(outcome.rounds), "studies": outcome.studies}
    measured = [row for row in rows if isinstance(row, Row)]
    studies = [row for row in rows if isinstance(row, Study)]
    parts = ["# Benchmark", "\n".join(f"- {name}: {fact}" for name, fact in facts.items())]
    if outcome.rounds:
        parts += [
            table.comparison(measured, systems, medians),
            table.cpu_by_role(systems, medians),
        ]
    if outcome.studies:
        parts.append(table.studies_table(studies, outcome.studies))
    parts.append(table.aims_table(medians))
    if outcome.failures:
        parts.append("Not measured:\n" + "\n".join(f"- {failure}" for failure in outcome.failures))
    return "\n\n".join(parts) + "\n"


def _sizes(arguments: argparse.Namespace) -> Sizes:
    quick = arguments.quick or os.environ.get("QUICK", "") not in {"", "0"}
    sizes = QUICK if quick else FULL
    return replace(sizes, rounds=arguments.rounds) if arguments.rounds else sizes


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Run it; 1 where something could not be measured."""
    signal.signal(signal.SIGTERM, _end)
    every_system, every_row = all_systems(), all_rows()
    arguments = _arguments(every_system, every_row)
    systems = [s for s in every_system if not arguments.peer or s.key in arguments.peer]
    rows = [row for row in every_row if not arguments.only or row.name in arguments.only]
    sizes, facts = _sizes(arguments), describe_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        outcome = run_all(systems, rows, sizes, Path(folder))
    facts |= {
        "load after": f"{os.getloadavg()[0]:.2f}",
        "sizes": "quick" if sizes.tasks == QUICK.tasks else "full",
        "rounds": f"{sizes.rounds}, medians",
        "versions": ", ".join(f"{name} {version}" for name, version in outcome.versions.items()),
    }
    text = _text(outcome, systems, rows, facts)
    print(text)
    if not arguments.no_keep:
        record = {
            "facts": facts,
            "sizes": asdict(sizes),
            "medians": table.medians_of(outcome.rounds),
            **asdict(outcome),
        }
        print(f"kept in {table.keep(text, record)}")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
