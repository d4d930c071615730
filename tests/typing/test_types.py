"""Has a type checker read what users would write."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_calls_are_typed() -> None:
    """`calls.py` says which type each call has, and which ones are mistakes."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing/calls.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
