"""Owns how answers are printed: JSON for programs, tables for people. Knows nothing of what they say."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed import DataclassInstance
    from rich.console import Console

    from windlass.exceptions import TaskRunError

#: Width of tables that go to a file or a pipe: nothing is to be cut or folded there.
_PIPE_WIDTH: Final = 240


def print_json(value: Any) -> None:
    """Print `value` as indented JSON; records become objects of their fields, times ISO 8601."""
    print(to_json(value, indent=2, fallback=str).decode())


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Print what is told of one thing, a line each; what is empty is left out."""
    for name, value in pairs.items():
        if value:
            print(f"  {name:<12}{value}")


def print_event(**fields: Any) -> None:
    """Print one JSON object on one line, at once: somebody waits for it."""
    print(to_json(fields, fallback=str).decode(), flush=True)


def print_note(said: str) -> None:
    """Say what is none of the answer: apart from it, so that it can be piped on."""
    print(f"-- {said} --", file=sys.stderr, flush=True)


def is_live() -> bool:
    """Whether stdout is a terminal on which things can be drawn over."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")


def console() -> Console:
    """Give the console for stdout. It keeps to NO_COLOR, and to the terminal's width."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False, emoji=False)


def printable(text: str) -> str:
    """Take out what a terminal would obey: a task's own words are not to move anybody's cursor."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def as_object(record: DataclassInstance) -> dict[str, Any]:
    """Give a record's fields, its errors as objects too."""
    found = {each.name: getattr(record, each.name) for each in fields(record)}
    if "errors" in found:
        found["errors"] = [_error(error) for error in found["errors"]]
    return found


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str) -> None:
    """Print a table, or the line `nothing` where there are no rows."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*row)
        count += 1
    if count:
        console().print(table)
    else:
        print(nothing)


def ago(moment: datetime | None) -> str:
    """Say how long ago something was, roughly."""
    return "" if moment is None else f"{length(datetime.now(UTC) - moment)} ago"


def length(duration: timedelta) -> str:
    """Say how long something took: 85 ms, 4.2 s, 12 min, 3.5 h, 8 d."""
    seconds = max(0.0, duration.total_seconds())
    for limit, unit, text in ((1, 0.001, "{:.0f} ms"), (60, 1, "{:.1f} s"), (3600, 60, "{:.0f} min")):
        if seconds < limit:
            return text.format(seconds / unit)
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} d"


def failure_line(error: TaskRunError) -> str:
    """Say in one line what failed."""
    attempt = f" (attempt {error.attempt})" if error.attempt > 1 else ""
    said = " ".join(printable(error.error).split())
    return f"{error.type or 'error'}{attempt}" + (f": {said}" if said else "")


def _error(error: TaskRunError) -> dict[str, Any]:
    return {
        "attempt": error.attempt,
        "type": error.type,
        "error": error.error,
        "traceback": error.traceback,
        "non_retryable": error.non_retryable,
        "out_of_budget": error.out_of_budget,
        "replay": error.replay,
        "worker_id": error.worker_id,
        "started_at": error.started_at,
        "failed_at": error.failed_at,
    }
