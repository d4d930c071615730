"""`make polyglot`: builds the Go and the TypeScript example and has them work with each other and Python.

    python -m examples.polyglot [--only build|crossings|conformance]

Everything that it starts has ended when it ends. Its exit code is 0 when all that it expects held.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from examples.polyglot import crossings
from examples.polyglot.build import BuildFailed, build_all
from examples.polyglot.languages import CONFORMANCE, WITHOUT
from examples.polyglot.toolchain import ROOT, environment
from windlass import Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

# So that the run of a killed worker is given to another one soon.
_SETTINGS: Final = {"WINDLASS_SESSION_TTL": "3", "WINDLASS_HEARTBEAT_INTERVAL": "0.5"}


def main() -> int:
    """Build, cross, score; returns the exit code."""
    # Told to end, it ends what it has started: SystemExit unwinds the `with`s, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="python -m examples.polyglot", description="See docs/polyglot.md.")
    parser.add_argument("--only", choices=["build", "crossings", "conformance"], help="one part of it")
    only = parser.parse_args().only
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    variables = environment()
    try:
        for language, seconds in build_all(variables).items():
            console.print(f"built the {language} example in {seconds:.0f} s, stubs and all")
    except BuildFailed as error:
        console.print(f"[red]could not be built:[/] {error}", markup=True)
        return 1
    good = True
    if only in {None, "crossings"}:
        good = cross(console, variables)
    if only in {None, "conformance"} and good:
        good = score(console, variables)
    return 0 if good else 1


def cross(console: Console, variables: Mapping[str, str]) -> bool:
    """Have the languages work with each other on an engine; prints a table."""
    table = Table("between the languages", "what was seen", title="one engine, three languages", show_lines=True)
    held = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyglot-")))
        engine = stack.enter_context(start_engine(settings=_SETTINGS))
        app = stack.enter_context(Windlass(config=engine.config))
        surroundings = {**variables, "WINDLASS_API_ADDRESS": engine.api_address}
        stage = crossings.Stage(engine, app, surroundings, folder, stack)
        for name, rule, seen, is_good in crossings.play(stage):
            table.add_row(f"[bold]{name}[/]\n{rule}", seen if is_good else f"[red]{seen}[/]")
            held = held and is_good
        if not held:
            for log in sorted(folder.glob("*.log")):
                console.print(f"--- {log.name}", log.read_text(), markup=False)
    console.print(table)
    return held


def score(console: Console, variables: Mapping[str, str]) -> bool:
    """Drive the three workers through the protocol; prints their scores."""
    table = Table("worker", "conformance", "without", "seconds", title="tests/conformance")
    full = True
    for language, command in CONFORMANCE.items():
        began = time.monotonic()
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "tests.conformance", "--worker", shlex.join(command), "--json"),
                *(word for name in WITHOUT[language] for word in ("--without", name)),
            ],
            cwd=ROOT,
            env=variables,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        verdict = json.loads(ended.stdout)
        full = full and verdict["passed"] == verdict["cases"]
        score = f"{verdict['passed']}/{verdict['cases']}"
        table.add_row(language, score, ", ".join(verdict["without"]), f"{time.monotonic() - began:.0f}")
        for each in verdict["results"]:
            if not each["passed"]:
                console.print(f"{language}: {each['name']}: {each['why']}", style="red", markup=False)
    console.print(table)
    return full


if __name__ == "__main__":
    sys.exit(main())
