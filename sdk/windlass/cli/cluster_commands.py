"""Owns the names, options and help of `windlass workers`, `workflows`, `queues` and `rate-limits`."""

from typing import Annotated, Final

import typer

from windlass.cli.completion import queue_names, rate_limit_keys, task_names
from windlass.cli.run_commands import AsJson

workers: Final = typer.Typer(help="Look at who is connected, pause them.", no_args_is_help=True)
workflows: Final = typer.Typer(help="Look at what is registered, pause it.", no_args_is_help=True)
queues: Final = typer.Typer(help="Look at what waits where, pause it.", no_args_is_help=True)

rate_limits: Final = typer.Typer(help="Limits on starts per time, by name.", no_args_is_help=True)

WorkerIds = Annotated[list[str], typer.Argument(metavar="ID...")]
WorkflowNames = Annotated[list[str], typer.Argument(metavar="NAME...", autocompletion=task_names)]
QueueNames = Annotated[list[str], typer.Argument(metavar="NAME...", autocompletion=queue_names)]


@workers.command("list")
def list_workers(*, as_json: AsJson = False) -> None:
    """List the workers that are connected, by name."""
    from windlass.cli.cluster_views import list_workers

    list_workers(as_json=as_json)


@workers.command("get")
def get_worker(
    worker_id: Annotated[str, typer.Argument(metavar="ID", help="In full.")], *, as_json: AsJson = False
) -> None:
    """Show one worker."""
    from windlass.cli.cluster_views import show_worker

    show_worker(worker_id, as_json=as_json)


@workers.command("pause")
def pause_workers(worker_ids: WorkerIds) -> None:
    """Give them no new work until they are unpaused; what they have goes on."""
    from windlass.cli.gate_views import pause

    pause(lambda app: app.workers, worker_ids)


@workers.command("unpause")
def unpause_workers(worker_ids: WorkerIds) -> None:
    """Give them work again."""
    from windlass.cli.gate_views import unpause

    unpause(lambda app: app.workers, worker_ids)


@workflows.command("list")
def list_workflows(*, as_json: AsJson = False) -> None:
    """List the workflows that are registered, by name."""
    from windlass.cli.cluster_views import list_workflows

    list_workflows(as_json=as_json)


@workflows.command("get")
def get_workflow(
    name: Annotated[str, typer.Argument(help="In full.", autocompletion=task_names)], *, as_json: AsJson = False
) -> None:
    """Show one workflow."""
    from windlass.cli.cluster_views import show_workflow

    show_workflow(name, as_json=as_json)


@workflows.command("pause")
def pause_workflows(names: WorkflowNames) -> None:
    """Start none of their runs until they are unpaused; what runs goes on."""
    from windlass.cli.gate_views import pause

    pause(lambda app: app.workflows, names)


@workflows.command("unpause")
def unpause_workflows(names: WorkflowNames) -> None:
    """Let them go on."""
    from windlass.cli.gate_views import unpause

    unpause(lambda app: app.workflows, names)


@queues.command("list")
def list_queues(*, as_json: AsJson = False) -> None:
    """List the queues that have runs or are paused."""
    from windlass.cli.gate_views import list_queues

    list_queues(as_json=as_json)


@queues.command("pause")
def pause_queues(names: QueueNames) -> None:
    """Start none of their runs until they are unpaused; what runs goes on."""
    from windlass.cli.gate_views import pause

    pause(lambda app: app.queues, names)


@queues.command("unpause")
def unpause_queues(names: QueueNames) -> None:
    """Let them go on."""
    from windlass.cli.gate_views import unpause

    unpause(lambda app: app.queues, names)


@rate_limits.command("list")
def list_rate_limits(*, as_json: AsJson = False) -> None:
    """List the limits, and how much of each is used."""
    from windlass.cli.gate_views import list_rate_limits

    list_rate_limits(as_json=as_json)


@rate_limits.command("put")
def put_rate_limit(
    key: Annotated[str, typer.Argument(help="Its name.", autocompletion=rate_limit_keys)],
    limit: Annotated[int, typer.Argument(help="Units per window, from 1 up.")],
    duration: Annotated[str, typer.Argument(help="Length of the window, as 1s, 1m, 1h, 30d.")] = "1m",
) -> None:
    """Make a limit, or replace the one of that name."""
    from windlass.cli.gate_views import put_rate_limit

    put_rate_limit(key, limit, duration)


@rate_limits.command("delete")
def delete_rate_limits(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", autocompletion=rate_limit_keys)],
) -> None:
    """Delete limits; submits of tasks that name one are refused from then on."""
    from windlass.cli.gate_views import delete_rate_limits

    delete_rate_limits(keys)
