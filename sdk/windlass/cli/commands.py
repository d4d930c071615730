"""Owns the commands' names, options and help. What they do is in the modules beside this one.

Those are imported when their command runs, so that `windlass --help` loads none of them.
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from windlass.exceptions import WindlassError

app: Final = typer.Typer(
    name="windlass",
    help="Task queue and workflow engine on gRPC and Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
runs: Final = typer.Typer(help="Look at runs and cancel them.", no_args_is_help=True)
app.add_typer(runs, name="runs")

_RUN: Final = "Run"
_RUN_BY_HAND: Final = "Look and act (the api's address: WINDLASS_API_ADDRESS)"
_SERVICES: Final = "The engine's services (settings: WINDLASS_*)"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Slots = Annotated[int, typer.Option(min=1, max=100_000, help="Tasks at a time.")]


def run_command_line() -> None:
    """Run the command that sys.argv names and leave with its exit code."""
    try:
        app()
    except WindlassError as error:
        from windlass.cli.exit_code import exit_code_of

        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("windlass"))
        raise typer.Exit


@app.callback()
def _windlass(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """Task queue and workflow engine on gRPC and Redis."""


@app.command(rich_help_panel=_RUN)
def dev(
    reference: Annotated[
        str, typer.Argument(metavar="[MODULE[:APP]]", help="The app. Left out: see `windlass worker`.")
    ] = "",
    *,
    api_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 7070,
    dispatcher_port: Annotated[int, typer.Option(min=0, max=65535)] = 7071,
    http_port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    data_dir: Annotated[Path, typer.Option(help="Survives a restart.")] = Path(".windlass"),
    slots: Slots = 100,
    log_level: Annotated[str, typer.Option(help="Of the services.")] = "WARNING",
) -> None:
    """Run everything on this machine: store, services, and a worker that reloads on change."""
    from windlass.cli.development import Development

    Development(reference, api_port, dispatcher_port, http_port, data_dir, slots, log_level).run()


@app.command(rich_help_panel=_RUN)
def worker(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODULE[:APP]]",
            help="The app. Left out: [tool.windlass] app in pyproject.toml, else worker.py, app.py, "
            "main.py or tasks.py. `worker dev` is `worker --reload`.",
        ),
    ] = None,
    *,
    reload: Annotated[bool, typer.Option("--reload", help="Restart on each change below here.")] = False,
    slots: Slots = 100,
    queues: Annotated[str, typer.Option(help="Only these, a,b. [default: all]")] = "",
    name: Annotated[str, typer.Option(help="For people. [default: the module's name]")] = "",
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds to finish in, when told to stop. [default: 30, with --reload 2]"),
    ] = None,
) -> None:
    """Run an app's tasks until SIGTERM or Ctrl-C, then finish what has begun."""
    from windlass.cli.worker_process import WorkerProcess, reference_of

    reference, dev = reference_of(words or [])
    WorkerProcess(reference=reference, reload=reload or dev, slots=slots, queues=queues, name=name, grace=grace).run()


@app.command("run", rich_help_panel=_RUN_BY_HAND)
def run_task(
    task: Annotated[str, typer.Argument(help="Its registered name.")],
    *,
    input_json: Annotated[str, typer.Option("--input", metavar="JSON", help="`-`: read stdin.")] = "{}",
    wait: Annotated[bool, typer.Option(help="Wait for the end and print the output.")] = True,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds to wait at the most.")] = None,
    queue: Annotated[str | None, typer.Option(help="[default: the task's]")] = None,
    priority: Annotated[str, typer.Option(help="low, medium, high, critical. [default: the task's]")] = "",
    metadata: Annotated[str, typer.Option(metavar="JSON", help="An object.")] = "",
    as_json: AsJson = False,
) -> None:
    """Submit one run of a task by name."""
    from windlass.cli.submission import Submission

    Submission(task, input_json, wait, timeout, queue, priority, metadata).run(as_json=as_json)


@runs.command("list")
def list_runs(
    *,
    status: Annotated[list[str] | None, typer.Option(help="May be repeated. [default: all]")] = None,
    workflow: Annotated[list[str] | None, typer.Option(help="May be repeated. [default: all]")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from windlass.cli.run_views import list_runs

    list_runs(status or [], workflow or [], limit, as_json=as_json)


@runs.command("get")
def get_run(run_id: str, *, as_json: AsJson = False) -> None:
    """Show one run: input, output, and what failed."""
    from windlass.cli.run_views import show_run

    show_run(run_id, as_json=as_json)


@runs.command("cancel")
def cancel_runs(run_ids: list[str], *, as_json: AsJson = False) -> None:
    """Cancel runs: at once what has not started; what runs is told."""
    from windlass.cli.run_views import cancel_runs

    cancel_runs(run_ids, as_json=as_json)


@app.command(rich_help_panel=_RUN_BY_HAND)
def workers(*, as_json: AsJson = False) -> None:
    """List the workers that are connected."""
    from windlass.cli.cluster_views import list_workers

    list_workers(as_json=as_json)


@app.command(rich_help_panel=_RUN_BY_HAND)
def workflows(*, as_json: AsJson = False) -> None:
    """List the workflows that are registered."""
    from windlass.cli.cluster_views import list_workflows

    list_workflows(as_json=as_json)


@app.command(rich_help_panel=_SERVICES)
def api() -> None:
    """Run an api: the door for clients."""
    _serve("api")


@app.command(rich_help_panel=_SERVICES)
def dispatcher() -> None:
    """Run a dispatcher: the one that talks to workers."""
    _serve("dispatcher")


@app.command(rich_help_panel=_SERVICES)
def scheduler() -> None:
    """Run a scheduler: the one that decides."""
    _serve("scheduler")


def _serve(service: str) -> None:
    from windlass.engine import load

    raise typer.Exit(load(service)())
