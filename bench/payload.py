"""Owns the one task of the benchmark: what goes in, what comes out, and whether it came out right.

Imported in the peers' venvs too: standard library only.
"""

from __future__ import annotations

from typing import Any


def make_input(index: int) -> dict[str, Any]:
    """About 100 bytes as JSON."""
    return {
        "id": index,
        "path": f"/data/images/2026/11/photo-{index:09d}.jpg",
        "width": 640,
        "height": 480,
        "format": "webp",
    }


def make_output(index: int) -> dict[str, Any]:
    """What the task returns for the input of that index."""
    return {"id": index, "ok": True}


class WrongResult(Exception):
    """A system lost, doubled or mixed up a result: its figures mean nothing."""


def check_outputs(outputs: list[Any], first: int) -> None:
    """Raise WrongResult unless `outputs` are those of the indexes from `first` on, in order."""
    for index, output in enumerate(outputs, first):
        if output != make_output(index):
            raise WrongResult(f"the result of task {index} is {output!r}")
