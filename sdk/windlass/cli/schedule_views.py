"""Owns crons and scheduled runs as the command line shows and changes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from windlass import Windlass
from windlass.cli.output import ago, as_object, print_json, print_pairs, print_table
from windlass.cli.submission import json_object, json_value, priority_of
from windlass.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from windlass import CronInfo
    from windlass.cron import CatchUp, Overlap


def list_crons(workflow: str, limit: int, *, as_json: bool) -> None:
    """Print crons, by task and name."""
    with Windlass() as app:
        found = app.cron.list(workflow, limit=limit)
    if as_json:
        print_json([as_object(cron) for cron in found])
        return
    rows = (
        (each.id, each.workflow_name, each.name, each.expression, each.timezone, _next(each), ago(each.last_at))
        for each in found
    )
    columns = ("id", "task", "name", "expression", "zone", "next", "last")
    print_table(columns, rows, nothing="no crons; make one: windlass cron create TASK NAME EXPRESSION")


def show_cron(cron_id: str, *, as_json: bool) -> None:
    """Print one cron. Raises NotFound."""
    with Windlass() as app:
        cron = app.cron.get(cron_id)
    if as_json:
        print_json(as_object(cron))
        return
    print(f"{cron.workflow_name} {cron.name}")
    print_pairs(
        {
            "id": cron.id,
            "expression": cron.expression,
            "zone": cron.timezone,
            "next": _next(cron),
            "last": _moment(cron.last_at),
            "last run": cron.last_run_id,
            "error": f"{cron.last_error} ({ago(cron.last_error_at)})" if cron.last_error else "",
            "input": json.dumps(cron.input, ensure_ascii=False),
            "metadata": json.dumps(cron.additional_metadata, ensure_ascii=False) if cron.additional_metadata else "",
            "priority": cron.priority.name if cron.priority else "",
            "catch up": cron.catch_up,
            "overlap": cron.overlap,
            "made": "by its task" if cron.declared else f"by call, {ago(cron.created_at)}",
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CronRequest:
    """What `windlass cron create` was asked for."""

    task: str
    name: str
    expression: str
    timezone: str
    input_json: str
    catch_up: str
    overlap: str
    priority: str
    metadata: str

    def create(self, *, as_json: bool) -> None:
        """Make it, and print its id. Raises InvalidInput, AlreadyExists, UnknownTask."""
        if self.input_json == self.metadata == "-":
            raise InvalidInput("--input and --metadata cannot both be read from stdin")
        value: Any = json_value("--input", self.input_json)
        metadata = json_object("--metadata", self.metadata) if self.metadata else None
        priority = priority_of(self.priority) if self.priority else None
        with Windlass() as app:
            made = app.cron.create(
                self.task,
                self.name,
                self.expression,
                value,
                self.timezone,
                catch_up=cast("CatchUp", self.catch_up),
                overlap=cast("Overlap", self.overlap),
                additional_metadata=metadata,
                priority=priority,
            )
        print_json(as_object(made)) if as_json else print(made.id)


def delete_crons(cron_ids: Sequence[str]) -> None:
    """Delete crons. Raises NotFound, InvalidInput."""
    with Windlass() as app:
        for cron_id in cron_ids:
            app.cron.delete(cron_id)
            print(f"deleted: {cron_id}")


def pause_crons(cron_ids: Sequence[str]) -> None:
    """Let crons rest. Raises NotFound."""
    with Windlass() as app:
        for cron_id in cron_ids:
            app.cron.pause(cron_id)
            print(f"paused: {cron_id}")


def unpause_crons(cron_ids: Sequence[str]) -> None:
    """Let crons go on. Raises NotFound."""
    with Windlass() as app:
        for cron_id in cron_ids:
            app.cron.unpause(cron_id)
            print(f"going on: {cron_id}")


def list_scheduled(workflow: str, limit: int, *, as_json: bool) -> None:
    """Print the runs that are still to come, the next one first."""
    with Windlass() as app:
        found = app.scheduled.list(workflow, limit=limit)
    if as_json:
        print_json([as_object(run) for run in found])
        return
    rows = ((run.id, run.workflow_name, _moment(run.run_at), ago(run.created_at)) for run in found)
    print_table(("id", "task", "at", "submitted"), rows, nothing="nothing is scheduled")


def delete_scheduled(run_ids: Sequence[str]) -> None:
    """Cancel runs before their time. Raises NotFound."""
    with Windlass() as app:
        for run_id in run_ids:
            print(f"{'deleted' if app.scheduled.delete(run_id) else 'too late'}: {run_id}")


def _next(cron: CronInfo) -> str:
    if cron.paused:
        return "paused"
    return _moment(cron.next_at) or "never"


def _moment(moment: datetime | None) -> str:
    """A time on this machine's own clock."""
    return "" if moment is None else moment.astimezone().isoformat(" ", timespec="seconds")
