"""Owns the names, options and help of `windlass runs ...`; what they do is imported when they run."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from windlass.cli.completion import queue_names, task_names
from windlass.cli.completion import run_ids as complete_run_ids
from windlass.cli.shared_options import with_options

if TYPE_CHECKING:
    from windlass.cli.run_filter import FilterOptions

runs: Final = typer.Typer(help="Look at runs, follow, cancel and replay them.", no_args_is_help=True)
dead_letter: Final = typer.Typer(help="Runs that ended FAILED: look, try again, delete.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RunId = Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_run_ids)]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED. Repeat for more.")
]
Workflows = Annotated[
    list[str] | None, typer.Option("--workflow", help="May be repeated. [default: all]", autocompletion=task_names)
]
Since = Annotated[str, typer.Option(metavar="DURATION", help="Submitted in the last 10m, 2h, 1d.")]
FailedSince = Annotated[str, typer.Option("--since", metavar="DURATION", help="Failed in the last 10m, 2h, 1d.")]
RunIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="`-` reads them from stdin. [default: those that the options choose]",
        autocompletion=complete_run_ids,
    ),
]
Queues = Annotated[
    list[str] | None, typer.Option("--queue", help="May be repeated. [default: all]", autocompletion=queue_names)
]
ErrorTypes = Annotated[
    list[str] | None, typer.Option("--error-type", help="Failed at last with it, as KeyError. May be repeated.")
]
Everything = Annotated[bool, typer.Option("--all", help="Really all, where no other option chooses.")]
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
    from windlass.cli.run_filter import FilterOptions
    from windlass.cli.run_views import list_runs

    list_runs(FilterOptions.read(status, workflow, since, metadata, limit), as_json=as_json)


@runs.command("get")
def get_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Show one run: input, output, and what failed."""
    from windlass.cli.run_views import show_run

    show_run(run_id, as_json=as_json)


@runs.command("cancel")
def cancel_runs(
    run_ids: RunIds = None,
    *,
    status: Statuses = None,
    workflow: Workflows = None,
    queue: Queues = None,
    since: Since = "",
    metadata: Metadata = None,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Cancel runs: at once what has not started; what runs is told."""
    from windlass.cli.bulk_views import Choice, cancel
    from windlass.cli.run_filter import FilterOptions

    options = FilterOptions.read(status, workflow, since, metadata, queues=queue)
    cancel(Choice.read(run_ids, options, everything=everything), as_json=as_json)


@runs.command("replay")
def replay_runs(
    run_ids: RunIds = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="The same as --status FAILED.")] = False,
    status: Statuses = None,
    workflow: Workflows = None,
    queue: Queues = None,
    error_type: ErrorTypes = None,
    since: Since = "",
    metadata: Metadata = None,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Run ended runs once more, under their own ids."""
    from windlass.cli.bulk_views import Choice, replay
    from windlass.cli.run_filter import FilterOptions

    statuses = [*(status or ()), *(["FAILED"] if failed else ())]
    options = FilterOptions.read(statuses, workflow, since, metadata, queues=queue, error_types=error_type)
    replay(Choice.read(run_ids, options, everything=everything), as_json=as_json)


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


@runs.command("stream")
def show_stream(
    run_id: RunId,
    *,
    offset: Annotated[int, typer.Option(min=0, help="The first chunk wanted, counted from 0.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per chunk.")] = False,
) -> None:
    """Pass on what a run's tasks stream, until the run has ended."""
    from windlass.cli.stream_view import show_stream

    show_stream(run_id, offset, as_json=as_json)


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
    from windlass.cli.run_filter import FilterOptions, read_ids
    from windlass.cli.watching import watch

    wanted = FilterOptions.read(status, workflow, since, metadata, limit)
    raise typer.Exit(watch(read_ids(run_ids or [], wanted), wanted, timeout, as_json=as_json))


def choose_dead(
    *,
    workflow: Workflows = None,
    queue: Queues = None,
    error_type: ErrorTypes = None,
    since: FailedSince = "",
    metadata: Metadata = None,
) -> "FilterOptions":
    """Read what chooses in the dead letter."""
    from windlass.cli.run_filter import FilterOptions

    return FilterOptions.read(None, workflow, since, metadata, queues=queue, error_types=error_type)


@dead_letter.command("list")
@with_options(choose_dead)
def list_dead(
    *,
    wanted: "FilterOptions",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs that ended FAILED, the latest failure first."""
    from windlass.cli.bulk_views import list_dead

    list_dead(wanted, limit, as_json=as_json)


@dead_letter.command("retry")
@with_options(choose_dead)
def retry_dead(
    run_ids: RunIds = None, *, wanted: "FilterOptions", everything: Everything = False, as_json: AsJson = False
) -> None:
    """Run them once more, under their own ids."""
    from windlass.cli.bulk_views import Choice, retry_dead

    retry_dead(Choice.read(run_ids, wanted, everything=everything), as_json=as_json)


@dead_letter.command("delete")
@with_options(choose_dead)
def delete_dead(
    run_ids: RunIds = None, *, wanted: "FilterOptions", everything: Everything = False, as_json: AsJson = False
) -> None:
    """Delete them, with their input, errors and log lines."""
    from windlass.cli.bulk_views import Choice, delete_dead

    delete_dead(Choice.read(run_ids, wanted, everything=everything), as_json=as_json)
