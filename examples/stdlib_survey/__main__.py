"""The demo, `make demo`: a cluster of its own, two workers, and a survey of the standard library.

Everything that it starts has ended when it ends. Its exit code is 0 when all that it expects held.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console

from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WORKERS: Final = 2


@contextmanager
def worker(name: str, console: Console) -> Iterator[None]:
    """Run a worker process for the length of a `with`, and show what it warns of."""
    command = [sys.executable, "-m", "windlass.cli", "worker", "examples.stdlib_survey.tasks"]
    environment = {**os.environ, "WINDLASS_LOG_LEVEL": "WARNING"}
    with subprocess.Popen(
        [*command, "--name", name, "--slots", "4"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        # Through the console, so that it does not tear the progress bar apart.
        shown = threading.Thread(target=_show, args=(process.stderr, name, console))
        shown.start()
        try:
            yield
        finally:
            process.terminate()
            shown.join()


def _show(lines: Iterable[str], name: str, console: Console) -> None:
    for line in lines:
        text = line.rstrip().partition("windlass.worker  ")[2] or line.rstrip()
        console.print(f"  {name}: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def main() -> int:
    """Run the demo and return its exit code."""
    # Told to end, it ends what it has started: SystemExit unwinds the `with`s, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    began = time.monotonic()
    with start_engine() as engine, ExitStack() as workers:
        console.print(f"Windlass is up in {time.monotonic() - began:.1f} s: a store, api, scheduler and dispatcher,")
        console.print(f"each a process of its own; the api is at {engine.api_address}.", highlight=False)
        # From here on, as for any application: the environment says where the api is.
        os.environ["WINDLASS_API_ADDRESS"] = engine.api_address
        for number in range(1, _WORKERS + 1):
            workers.enter_context(worker(f"surveyor-{number}", console))
        from examples.stdlib_survey import report, survey

        files = survey.standard_library()
        console.print(f"{_WORKERS} workers survey {len(files):,} files below {files[0].folder}:", highlight=False)
        with report.progress(console, len(files)) as tell:
            outcome = asyncio.run(survey.conduct(files, tell))
    report.show(console, outcome)
    unmet = outcome.unmet()
    for what in unmet:
        console.print(f"[bold red]expected:[/] {what}", highlight=False)
    if not unmet:
        report.show_next(console)
    return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main())
