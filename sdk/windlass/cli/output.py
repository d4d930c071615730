"""Owns how answers are printed: JSON for programs, tables for people. Knows nothing of what they say."""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed import DataclassInstance

    from windlass.exceptions import TaskRunError

#: Width of tables that go to a file or a pipe: nothing is to be cut or folded there.
_PIPE_WIDTH: Final = 240


def print_json(value: Any) -> None:
    """Print `value` as indented JSON; records become objects of their fields, times ISO 8601."""
    print(to_json(value, indent=2, fallback=str).decode())


def as_object(record: DataclassInstance) -> dict[str, Any]:
    """Give a record's fields, its errors as objects too."""
    found = {each.name: getattr(record, each.name) for each in fields(record)}
    if "errors" in found:
        found["errors"] = [_error(error) for error in found["errors"]]
    return found


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str) -> None:
    """Print a table, or the line `nothing` where there are no rows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*row)
        count += 1
    if count:
        Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False).print(table)
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


def _error(error: TaskRunError) -> dict[str, Any]:
    return {
        "attempt": error.attempt,
        "type": error.type,
        "error": error.error,
        "traceback": error.traceback,
        "non_retryable": error.non_retryable,
    }
