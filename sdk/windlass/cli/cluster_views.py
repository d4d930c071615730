"""Owns `windlass workers` and `windlass workflows`: how what is there is listed and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass import Windlass
from windlass.cli.output import ago, as_object, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from windlass.run import WorkerInfo, WorkflowInfo


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
            _slots(each),
            ", ".join(each.queues) or "all",
            ", ".join(each.workflow_names),
            each.host,
            ago(each.connected_at),
        )
        for each in found
    )
    print_table(columns, rows, nothing="no workers are connected; start one: windlass worker module:app")


def show_worker(worker_id: str, *, as_json: bool) -> None:
    """Print one worker."""
    with Windlass() as app:
        worker = app.workers.get(worker_id)
    if as_json:
        print_json(as_object(worker))
        return
    print(f"{worker.id}  {worker.name}  {worker.status}")
    print_pairs(
        {
            "host": worker.host,
            "sdk": worker.sdk,
            "slots used": _slots(worker),
            "queues": ", ".join(worker.queues) or "all",
            "labels": ", ".join(f"{key}={value}" for key, value in worker.labels.items()),
            "workflows": ", ".join(worker.workflow_names),
            "dispatcher": worker.dispatcher_address,
            "connected": ago(worker.connected_at),
        }
    )


def _slots(worker: WorkerInfo) -> str:
    pools = (f"{name}: {pool.slots_used} of {pool.slots}" for name, pool in worker.pools.items())
    return ", ".join((f"{worker.slots_used} of {worker.slots}", *pools))


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
            _queued(each),
            str(each.workers),
            each.default_queue,
            ago(each.registered_at),
            each.description.partition("\n")[0],
        )
        for each in found
    )
    print_table(columns, rows, nothing="no workflows are registered: a worker, or a first submit, does that")


def show_workflow(name: str, *, as_json: bool) -> None:
    """Print one workflow."""
    with Windlass() as app:
        workflow = app.workflows.get(name)
    if as_json:
        print_json(as_object(workflow))
        return
    print(f"{workflow.name}  {workflow.version}  {workflow.description}".rstrip())
    print_pairs(
        {
            "tasks": ", ".join(workflow.task_names),
            "on failure": workflow.on_failure or "",
            "on success": workflow.on_success or "",
            "queue": workflow.default_queue,
            "priority": workflow.default_priority.name,
            "label": workflow.version_label,
            "queued": _queued(workflow),
            "workers": str(workflow.workers),
            "registered": ago(workflow.registered_at),
        }
    )


def _queued(workflow: WorkflowInfo) -> str:
    return f"{workflow.queued_runs}, paused" if workflow.paused else str(workflow.queued_runs)
