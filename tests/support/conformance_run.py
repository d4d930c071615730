"""Owns playing the conformance suite from a test: in a process of its own, since gRPC takes one loop."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance.rig import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

_ROOT = Path(__file__).parents[2]
_SECONDS = 240


@dataclass(frozen=True, slots=True)
class ConformanceRun:
    """What the program said at its end."""

    status: int
    #: Case → why it failed, empty where it passed.
    reasons: dict[str, str]


def chosen(session: pytest.Session, test: str, parameters: Iterable[str]) -> list[str]:
    """Those parameters of a test with which pytest was asked to run it."""
    items = {item.name for item in session.items}
    return [each for each in parameters if f"{test}[{each}]" in items]


def conformance_run(worker: str, cases: Sequence[str], patience: float = PATIENCE) -> ConformanceRun:
    """Play these cases with a worker that is a Python module with its arguments."""
    only = [word for name in cases for word in ("--only", name)]
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.conformance", "--json", "--patience", str(patience)),
            *("--worker", f"{shlex.quote(sys.executable)} -m {worker}", *only),
        ],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert ended.stdout.startswith("{"), f"status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    results = json.loads(ended.stdout)["results"]
    return ConformanceRun(ended.returncode, {each["name"]: each["why"] for each in results})
