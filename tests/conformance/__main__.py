"""Drives any worker program through the worker protocol and prints a score.

    python -m tests.conformance --worker 'COMMAND …' [--only NAME] [--without CAPABILITY] [--json]

docs/worker-protocol.md says what the program has to be like.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from tests.conformance.case import all_cases
from tests.conformance.rig import PATIENCE
from tests.conformance.score import as_json, table
from tests.conformance.suite import Verdict, play_all

if TYPE_CHECKING:
    from tests.conformance.case import Case


def main() -> int:
    """Play the cases that were asked for; 0 where all were passed."""
    arguments = _parser().parse_args()
    if arguments.list:
        _say("\n".join(_described(each) for each in all_cases()))
        return 0
    command = shlex.split(arguments.worker)
    if not command or shutil.which(command[0]) is None:
        _complain(f"--worker {arguments.worker!r}: there is no such program")
        return 2
    asked_for = [each for each in all_cases() if _is_asked_for(each, arguments.only)]
    without = sorted({*arguments.without})
    cases = [each for each in asked_for if each.capabilities.isdisjoint(without)]
    if not cases:
        _complain(f"--only {' '.join(arguments.only)}: no case has such a name; --list shows them")
        return 2
    verdicts = asyncio.run(
        play_all(
            cases,
            command,
            at_once=arguments.at_once,
            patience=arguments.patience,
            on_verdict=_show_progress,
        )
    )
    left_out = [each for each in asked_for if each not in cases]
    if arguments.json:
        _say(as_json(verdicts, arguments.worker, without, left_out))
    else:
        _say(table(verdicts, without, left_out))
    return 0 if all(each.passed for each in verdicts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("--worker", default="", metavar="COMMAND", help="the command line that starts the worker")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a case or a topic; * stands for anything"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted({name for each in all_cases() for name in each.capabilities}),
        help="a capability that the worker does not have, and need not: its cases are left out, and the score says so",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--at-once", type=int, default=6, metavar="N", help="cases at the same time (%(default)s)")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long to wait for what must come, a start included (%(default)g)",
    )
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    return parser


def _is_asked_for(case: Case, only: list[str]) -> bool:
    return not only or any(fnmatch.fnmatch(name, each) for each in only for name in (case.name, case.topic))


def _described(case: Case) -> str:
    needs = f" [{', '.join(sorted(case.capabilities))}]" if case.capabilities else ""
    return f"{case.topic:14} {case.name}: {case.rule}{needs}"


def _show_progress(verdict: Verdict) -> None:
    if sys.stderr.isatty():
        _complain(f"{'ok  ' if verdict.passed else 'FAIL'} {verdict.case.name}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
