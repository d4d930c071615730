"""Owns the names, options and help of `windlass cron` and `windlass scheduled`; what they do is elsewhere."""

from typing import Annotated, Final

import typer

from windlass.cli.completion import cron_ids, scheduled_ids, task_names
from windlass.cli.run_commands import AsJson

cron: Final = typer.Typer(help="What runs again and again.", no_args_is_help=True)
scheduled: Final = typer.Typer(help="Runs that are still to come.", no_args_is_help=True)

CronIds = Annotated[list[str], typer.Argument(metavar="ID...", autocompletion=cron_ids)]
Workflow = Annotated[str, typer.Option(help="Only this one's. [default: all]", autocompletion=task_names)]
Limit = Annotated[int, typer.Option(min=1, max=100_000)]


@cron.command("list")
def list_crons(*, workflow: Workflow = "", limit: Limit = 1000, as_json: AsJson = False) -> None:
    """List crons, by task and name: those that tasks declare, and those that were made by call."""
    from windlass.cli.schedule_views import list_crons

    list_crons(workflow, limit, as_json=as_json)


@cron.command("get")
def get_cron(
    cron_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=cron_ids)], *, as_json: AsJson = False
) -> None:
    """Show one cron: when it is due, what it ran last, and what went wrong."""
    from windlass.cli.schedule_views import show_cron

    show_cron(cron_id, as_json=as_json)


@cron.command("create")
def create_cron(
    task: Annotated[str, typer.Argument(help="Its registered name.", autocompletion=task_names)],
    name: Annotated[str, typer.Argument(help="Unique among the task's crons that were made by call.")],
    expression: Annotated[str, typer.Argument(help="As '0 9 * * *'; six fields: seconds first; or as @daily.")],
    *,
    timezone: Annotated[str, typer.Option(help="An IANA zone, as Europe/Berlin.")] = "UTC",
    input_json: Annotated[
        str, typer.Option("--input", metavar="JSON", help="An object, or a list of arguments. `@file`, `-`: stdin.")
    ] = "{}",
    catch_up: Annotated[str, typer.Option(help="Ticks that were missed: skip, one, all.")] = "skip",
    overlap: Annotated[
        str, typer.Option(help="While the run before is under way: allow, skip, cancel_other.")
    ] = "allow",
    priority: Annotated[str, typer.Option(help="low, medium, high, critical. [default: the task's]")] = "",
    metadata: Annotated[str, typer.Option(metavar="JSON", help="An object; `@file`, `-`: stdin.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a cron, and print its id."""
    from windlass.cli.schedule_views import CronRequest

    CronRequest(
        task=task,
        name=name,
        expression=expression,
        timezone=timezone,
        input_json=input_json,
        catch_up=catch_up,
        overlap=overlap,
        priority=priority,
        metadata=metadata,
    ).create(as_json=as_json)


@cron.command("delete")
def delete_crons(cron_ids: CronIds) -> None:
    """Delete crons; their runs go on."""
    from windlass.cli.schedule_views import delete_crons

    delete_crons(cron_ids)


@cron.command("pause")
def pause_crons(cron_ids: CronIds) -> None:
    """Let crons rest: their ticks are passed over."""
    from windlass.cli.schedule_views import pause_crons

    pause_crons(cron_ids)


@cron.command("unpause")
def unpause_crons(cron_ids: CronIds) -> None:
    """Let crons go on, with the first tick after now."""
    from windlass.cli.schedule_views import unpause_crons

    unpause_crons(cron_ids)


@scheduled.command("list")
def list_scheduled(*, workflow: Workflow = "", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the runs that are still to come, the next one first."""
    from windlass.cli.schedule_views import list_scheduled

    list_scheduled(workflow, limit, as_json=as_json)


@scheduled.command("delete")
def delete_scheduled(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID...", autocompletion=scheduled_ids)],
) -> None:
    """Cancel runs before their time has come."""
    from windlass.cli.schedule_views import delete_scheduled

    delete_scheduled(run_ids)
