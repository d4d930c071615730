"""Owns `windlass workers` and `windlass workflows`: how what is there is listed."""

from __future__ import annotations

from windlass import Windlass
from windlass.cli.output import ago, as_object, print_json, print_table


def list_workers(*, as_json: bool) -> None:
    """Print the workers that are connected, by name."""
    with Windlass() as app:
        found = app.workers.list()
    if as_json:
        print_json([as_object(worker) for worker in found])
        return
    columns = ("id", "name", "status", "slots used", "queues", "workflows", "host", "connected")
    rows = (
        (
            each.id,
            each.name,
            each.status,
            f"{each.slots_used} of {each.slots}",
            ", ".join(each.queues) or "all",
            ", ".join(each.workflow_names),
            each.host,
            ago(each.connected_at),
        )
        for each in found
    )
    print_table(columns, rows, nothing="no workers are connected; start one: windlass worker module:app")


def list_workflows(*, as_json: bool) -> None:
    """Print the workflows that are registered, by name."""
    with Windlass() as app:
        found = app.workflows.list()
    if as_json:
        print_json([as_object(workflow) for workflow in found])
        return
    columns = ("name", "version", "queued", "workers", "queue", "registered", "description")
    rows = (
        (
            each.name,
            each.version,
            str(each.queued_runs),
            str(each.workers),
            each.default_queue,
            ago(each.registered_at),
            each.description.partition("\n")[0],
        )
        for each in found
    )
    print_table(columns, rows, nothing="no workflows are registered: a worker, or a first submit, does that")
