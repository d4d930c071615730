"""Owns what keeps runs waiting, as the command line shows and changes it: pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass import Windlass
from windlass.cli.output import as_object, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def pause_workflows(names: Sequence[str]) -> None:
    """Pause workflows. Raises UnknownTask."""
    with Windlass() as app:
        app.workflows.pause(*names)
    print(f"paused: {', '.join(names)}")


def unpause_workflows(names: Sequence[str]) -> None:
    """Let workflows go on. Raises UnknownTask."""
    with Windlass() as app:
        app.workflows.unpause(*names)
    print(f"going on: {', '.join(names)}")


def list_queues(*, as_json: bool) -> None:
    """Print the queues, by name."""
    with Windlass() as app:
        found = app.queues.list()
    if as_json:
        print_json([as_object(queue) for queue in found])
        return
    rows = ((each.name, str(each.queued_runs), "paused" if each.paused else "") for each in found)
    print_table(("name", "queued", ""), rows, nothing="no queue has runs")


def pause_queues(names: Sequence[str]) -> None:
    """Pause queues."""
    with Windlass() as app:
        app.queues.pause(*names)
    print(f"paused: {', '.join(names)}")


def unpause_queues(names: Sequence[str]) -> None:
    """Let queues go on."""
    with Windlass() as app:
        app.queues.unpause(*names)
    print(f"going on: {', '.join(names)}")
