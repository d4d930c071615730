"""Owns the commands' names, options and help. What they do is in the modules beside this one.

Those are imported when their command runs, so that `windlass --help` loads none of them.
"""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Final

import typer

from windlass.cli.access_commands import certs, token
from windlass.cli.cluster_commands import queues, rate_limits, workers, workflows
from windlass.cli.completion import task_names
from windlass.cli.run_commands import AsJson, dead_letter, runs
from windlass.cli.schedule_commands import cron, scheduled
from windlass.exceptions import WindlassError

app: Final = typer.Typer(
    name="windlass",
    help="Task queue and workflow engine on gRPC and Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_RUN: Final = "Run"
_RUN_BY_HAND: Final = "Look and act (the api's address: WINDLASS_API_ADDRESS)"
_SERVICES: Final = "The engine's services (settings: WINDLASS_*)"

app.add_typer(runs, name="runs", rich_help_panel=_RUN_BY_HAND)
app.add_typer(dead_letter, name="dead-letter", rich_help_panel=_RUN_BY_HAND)
app.add_typer(workers, name="workers", rich_help_panel=_RUN_BY_HAND)
app.add_typer(workflows, name="workflows", rich_help_panel=_RUN_BY_HAND)
app.add_typer(queues, name="queues", rich_help_panel=_RUN_BY_HAND)
app.add_typer(rate_limits, name="rate-limits", rich_help_panel=_RUN_BY_HAND)
app.add_typer(cron, name="cron", rich_help_panel=_RUN_BY_HAND)
app.add_typer(scheduled, name="scheduled", rich_help_panel=_RUN_BY_HAND)
app.add_typer(token, name="token", rich_help_panel=_RUN_BY_HAND)
app.add_typer(certs, name="certs", rich_help_panel=_SERVICES)

Slots = Annotated[int, typer.Option(min=1, max=100_000, help="Tasks at a time.")]


def run_command_line() -> None:
    """Run the command that sys.argv names and leave with its exit code."""
    warnings.showwarning = _show_warning
    try:
        code = app(prog_name="windlass", standalone_mode=False)
    except WindlassError as error:
        from windlass.cli.exit_code import exit_code_of

        _complain(str(error))
        sys.exit(exit_code_of(error))
    except typer.BadParameter.__base__ as error:  # type: ignore[misc]  # UsageError, which typer keeps to itself
        context = getattr(error, "ctx", None)
        if said := error.format_message():  # none: the command had no arguments, and its help has been shown
            _complain(f"{said} (see {context.command_path} --help)" if context else said)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(said: str) -> None:
    """One line, whatever it was: what it is about may have been over several."""
    print("error: " + " ".join(said.split()), file=sys.stderr)


def _show_warning(message: Warning | str, *_where: object, **_how: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


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
    processes: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Child processes that execute; 0: none. [default: 1]")
    ] = None,
    max_tasks_per_child: Annotated[int | None, typer.Option(min=1, help="Replace a child after so many.")] = None,
    max_memory_per_child: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Replace a child that has more, as 500MB.")
    ] = None,
    pools: Annotated[
        list[str] | None, typer.Option("--pool", metavar="NAME=SLOTS", help="Slots for tasks of this slot_pool.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="What placement can ask for.")
    ] = None,
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
    WorkerProcess(
        reference=reference,
        reload=reload or dev,
        slots=slots,
        queues=queues,
        name=name,
        grace=grace,
        processes=processes,
        max_tasks_per_child=max_tasks_per_child,
        max_memory_per_child=max_memory_per_child,
        pools=pools or [],
        labels=labels or [],
    ).run()


@app.command("run", rich_help_panel=_RUN_BY_HAND)
def run_task(
    task: Annotated[str, typer.Argument(help="Its registered name.", autocompletion=task_names)],
    *,
    input_json: Annotated[
        str, typer.Option("--input", metavar="JSON", help="An object, or a list of arguments. `@file`, `-`: stdin.")
    ] = "{}",
    wait: Annotated[bool, typer.Option(help="Wait for the end and print the output.")] = True,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait no longer; the run goes on. As 30, 5m, 1h30m.")
    ] = None,
    delay: Annotated[str | None, typer.Option(metavar="DURATION", help="Start no earlier.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Cancel it where it has not started by then.")
    ] = None,
    retries: Annotated[int | None, typer.Option(min=0, help="After the first attempt. [default: the task's]")] = None,
    queue: Annotated[str | None, typer.Option(help="[default: the task's]")] = None,
    priority: Annotated[str, typer.Option(help="low, medium, high, critical. [default: the task's]")] = "",
    metadata: Annotated[str, typer.Option(metavar="JSON", help="An object; `@file`, `-`: stdin.")] = "",
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="One run for all that are submitted with it in 24 hours.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit one run of a task by name."""
    from windlass.cli.submission import Submission

    Submission(
        task=task,
        input_json=input_json,
        metadata=metadata,
        priority=priority,
        retries=retries,
        wait=wait,
        options={
            "timeout": timeout,
            "delay": delay,
            "expires": expires,
            "queue": queue,
            "idempotency_key": idempotency_key,
        },
    ).run(as_json=as_json)


@app.command(rich_help_panel=_RUN_BY_HAND)
def doctor(
    *,
    store: Annotated[
        str, typer.Option(metavar="URL", help="Look at this store too. [default: WINDLASS_STORE_URL]")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong: settings, api, TLS, token, versions, clocks, store, dispatchers, workers."""
    from windlass.cli.doctor import examine

    raise typer.Exit(examine(store, as_json=as_json))


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
