"""Owns `windlass runs`: how runs are listed and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass import Windlass
from windlass.cli.output import ago, as_object, length, print_json, print_pairs, print_table, printable
from windlass.cli.watch_boards import progress_text

if TYPE_CHECKING:
    from windlass.cli.run_filter import FilterOptions
    from windlass.exceptions import TaskRunError
    from windlass.run import Run


def list_runs(wanted: FilterOptions, *, as_json: bool) -> None:
    """Print runs, newest first."""
    with Windlass() as app:
        found = app.runs.list(**wanted.arguments())
    if as_json:
        print_json([as_object(run) for run in found])
        return
    columns = ("id", "workflow", "status", "phase", "attempt", "submitted", "took")
    rows = ((r.id, _executed(r), r.status, r.phase, str(r.attempt), ago(r.created_at), _took(r)) for r in found)
    print_table(columns, rows, nothing="no runs")


def show_run(run_id: str, *, as_json: bool) -> None:
    """Print one run."""
    with Windlass() as app:
        run = app.runs.get(run_id)
    if as_json:
        print_json(as_object(run))
        return
    print(f"{run.id}  {_executed(run)}  {run.status} ({run.phase})")
    print_pairs(
        {
            "priority": run.priority.name,
            "queue": run.queue,
            "attempt": str(run.attempt),
            "replays": str(run.replays or ""),
            "key": printable(run.idempotency_key or ""),
            "waits for": printable(run.waits_for),
            "worker": run.worker_id,
            "follows": f"run {run.followed_run_id}" if run.followed_run_id else "",
            "followed by": f"run {run.hook_run_id}" if run.hook_run_id else "",
            "submitted": f"{run.created_at:%Y-%m-%d %H:%M:%S} UTC, {ago(run.created_at)}",
            "took": _took(run),
            "progress": "" if run.progress is None else progress_text(run.progress),
            "cancelled": run.cancel_reason,
        }
    )
    payloads = {"metadata": run.additional_metadata or None, "input": run.input, "output": run.output}
    for name, payload in payloads.items():
        if payload is not None:
            print(name)
            print_json(payload)
    if run.errors_dropped:
        print(f"{run.errors_dropped} earlier failures are not kept")
    for error in run.errors:
        when = f" of replay {error.replay}" if error.replay else ""
        print(f"attempt {error.attempt}{when} failed: {error.type}: {printable(error.error)}{_failed_where(error)}")
        if error.out_of_budget:
            print("  not tried again: the retry budget of its workflow is used up")
        if error.traceback:
            print("  " + error.traceback.rstrip().replace("\n", "\n  "))


def _failed_where(error: TaskRunError) -> str:
    if error.started_at is None or error.failed_at is None:
        return ""
    took = length(error.failed_at - error.started_at)
    return f" ({error.failed_at:%Y-%m-%d %H:%M:%S} UTC, after {took}, worker {error.worker_id})"


def _executed(run: Run) -> str:
    return f"{run.workflow_name}, hook {run.hook_name}" if run.hook_name else run.workflow_name


def _took(run: Run) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    return length(run.finished_at - run.started_at)
