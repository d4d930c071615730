"""Owns the names, options and help of `windlass runs ...`; what they do is imported when they run."""

from typing import Annotated, Final

import typer

from windlass.cli.completion import run_ids as complete_run_ids
from windlass.cli.completion import task_names

runs: Final = typer.Typer(help="Look at runs, follow them, cancel them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RunId = Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_run_ids)]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED. Repeat for more.")
]
Workflows = Annotated[
    list[str] | None, typer.Option("--workflow", help="May be repeated. [default: all]", autocompletion=task_names)
]
Since = Annotated[str, typer.Option(metavar="DURATION", help="Submitted in the last 10m, 2h, 1d.")]
Metadata = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Has it. May be repeated.")]


@runs.command("list")
def list_runs(
    *,
    status: Statuses = None,
    workflow: Workflows = None,
    since: Since = "",
    metadata: Metadata = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from windlass.cli.run_filter import RunFilter
    from windlass.cli.run_views import list_runs

    list_runs(RunFilter.read(status, workflow, since, metadata, limit), as_json=as_json)


@runs.command("get")
def get_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Show one run: input, output, and what failed."""
    from windlass.cli.run_views import show_run

    show_run(run_id, as_json=as_json)


@runs.command("cancel")
def cancel_runs(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID...", autocompletion=complete_run_ids)],
    *,
    as_json: AsJson = False,
) -> None:
    """Cancel runs: at once what has not started; what runs is told."""
    from windlass.cli.run_views import cancel_runs

    cancel_runs(run_ids, as_json=as_json)


@runs.command("logs")
def show_logs(
    run_id: RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    offset: Annotated[int, typer.Option(min=0, help="The first line wanted, counted from 0.")] = 0,
    level: Annotated[str, typer.Option(help="This one and those above it.")] = "DEBUG",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print what a run's tasks have logged."""
    from windlass.cli.log_view import LogView

    LogView(level, as_json=as_json).show(run_id, offset, follow=follow)


@runs.command("watch")
def watch_runs(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="`-` reads them from stdin. [default: those that the options choose, or all that have not ended]",
            autocompletion=complete_run_ids,
        ),
    ] = None,
    *,
    status: Statuses = None,
    workflow: Workflows = None,
    since: Since = "",
    metadata: Metadata = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="Watch no longer; the runs go on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event, at last a summary.")] = False,
) -> None:
    """Watch runs until all have ended; the exit code tells how. Ctrl-C stops watching, not the runs."""
    from windlass.cli.run_filter import RunFilter, read_ids
    from windlass.cli.watching import watch

    wanted = RunFilter.read(status, workflow, since, metadata, limit)
    raise typer.Exit(watch(read_ids(run_ids or [], wanted), wanted, timeout, as_json=as_json))
