"""Owns how watched runs are shown: drawn over and over on a terminal, as lines, or as JSON."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from windlass.cli.output import console, failure_line, length, print_event, printable
from windlass.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from rich.columns import Columns
    from rich.console import Group
    from rich.table import Table

    from windlass.progress import Progress as Told
    from windlass.run import RunState

#: Failures that are written out above a live board: more would push all else off the screen.
_FAILURES_SHOWN: Final = 20
#: Runs that tell how far they are and are drawn below the counts.
_BARS_SHOWN: Final = 10
_STYLES: Final = {
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "red",
    RunStatus.CANCELLED: "yellow",
    RunStatus.RUNNING: "cyan",
    RunStatus.QUEUED: "dim",
}


class Board(Protocol):
    """Where runs are shown while they are watched."""

    def open(self, total: int) -> AbstractContextManager[object]:
        """Show `total` runs for the length of a block."""

    def show(self, state: RunState, counts: Counter[RunStatus]) -> None:
        """A run has moved; `counts` are those of all of them."""

    def sum_up(self, counts: Counter[RunStatus], seconds: float) -> None:
        """All have ended, or nobody watches any more."""


class JsonBoard:
    """One object a line: `run` events, and a `summary`."""

    def open(self, total: int) -> AbstractContextManager[object]:
        """See Board."""
        del total
        return nullcontext()

    def show(self, state: RunState, counts: Counter[RunStatus]) -> None:
        """See Board."""
        del counts
        error = state.error
        print_event(
            event="run",
            id=state.id,
            workflow_name=state.workflow_name,
            status=state.status,
            phase=state.phase,
            attempt=state.attempt,
            created_at=state.created_at,
            started_at=state.started_at,
            finished_at=state.finished_at,
            error=None if error is None else {"type": error.type, "error": error.error, "attempt": error.attempt},
            cancel_reason=state.cancel_reason,
            progress=state.progress,
        )

    def sum_up(self, counts: Counter[RunStatus], seconds: float) -> None:
        """See Board."""
        by_name = {status.lower(): counts[status] for status in _STYLES}
        print_event(event="summary", total=counts.total(), **by_name, seconds=round(seconds, 3))


class LineBoard:
    """A line for each run that has ended."""

    def __init__(self) -> None:
        """Begin with no line."""
        self._total = 0

    def open(self, total: int) -> AbstractContextManager[object]:
        """See Board."""
        self._total = total
        print(f"watching {total} runs", flush=True)
        return nullcontext()

    def show(self, state: RunState, counts: Counter[RunStatus]) -> None:
        """See Board."""
        if state.status.ended:
            ended = sum(count for status, count in counts.items() if status.ended)
            now = datetime.now(UTC).astimezone()
            print(f"{now:%H:%M:%S} {ended}/{self._total} {state.status:<9} {_told(state)}", flush=True)

    def sum_up(self, counts: Counter[RunStatus], seconds: float) -> None:
        """See Board."""
        print(f"{_counted(counts)} after {length(timedelta(seconds=seconds))}", flush=True)


class LiveBoard:
    """A progress bar with the counts below it, and those of single runs that tell theirs; failures stay above."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeElapsedColumn

        self._console = console()
        self._progress = Progress(
            BarColumn(bar_width=None), MofNCompleteColumn(), TaskProgressColumn(), TimeElapsedColumn(), expand=True
        )
        self._counts: Counter[RunStatus] = Counter()
        self._failures = 0
        self._telling: dict[str, tuple[str, Told]] = {}

    @contextmanager
    def open(self, total: int) -> Iterator[object]:
        """See Board."""
        from rich.console import Group
        from rich.live import Live

        self._bar = self._progress.add_task("", total=total)
        if not total:
            self._console.print("no runs to watch")
            yield None
            return
        with Live(Group(self._progress, self), console=self._console, refresh_per_second=10) as live:
            yield live

    def show(self, state: RunState, counts: Counter[RunStatus]) -> None:
        """See Board."""
        self._count(counts)
        if state.progress is None or state.status is not RunStatus.RUNNING:
            self._telling.pop(state.id, None)
        else:
            self._telling[state.id] = f"{state.workflow_name} {state.id[-12:]}", state.progress
        if state.status is not RunStatus.FAILED:
            return
        self._failures += 1
        if self._failures <= _FAILURES_SHOWN:
            self._console.print(f"FAILED {_told(state)}", style="red", soft_wrap=True)
        elif self._failures == _FAILURES_SHOWN + 1:
            self._console.print("further failures: windlass runs list --status FAILED", style="red")

    def sum_up(self, counts: Counter[RunStatus], seconds: float) -> None:
        """See Board."""
        del seconds  # the bar shows it
        self._count(counts)

    def _count(self, counts: Counter[RunStatus]) -> None:
        self._progress.update(self._bar, completed=sum(n for status, n in counts.items() if status.ended))
        self._counts = counts

    def __rich__(self) -> Group:
        """Give the counts as they are now, and how far single runs are."""
        from rich.console import Group

        return Group(self._counts_line(), *([self._bars()] if self._telling else []))

    def _counts_line(self) -> Columns:
        """In a narrow terminal they take several lines."""
        from rich.columns import Columns
        from rich.text import Text

        shown = [
            Text(f"{self._counts[status]} {status.lower()}", style if self._counts[status] else "dim")
            for status, style in _STYLES.items()
        ]
        return Columns(shown, padding=(0, 2))

    def _bars(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        told = list(self._telling.values())
        for name, progress in told[:_BARS_SHOWN]:
            bar = "" if progress.total is None else ProgressBar(progress.total, progress.done, width=30)
            table.add_row(name, bar, progress_text(progress))
        if len(told) > _BARS_SHOWN:
            table.add_row(f"and {len(told) - _BARS_SHOWN} more", "", "")
        return table


def progress_text(progress: Told) -> str:
    """Say how far a run is: "12 of 40 resizing"."""
    of = "" if progress.total is None else f" of {progress.total:g}"
    return f"{progress.done:g}{of} {' '.join(printable(progress.message).split())}".rstrip()


def _told(state: RunState) -> str:
    words = [state.id, state.workflow_name]
    if state.started_at and state.finished_at:
        words.append(length(state.finished_at - state.started_at))
    if state.error is not None:
        words.append(failure_line(state.error))
    elif state.cancel_reason:
        words.append(state.cancel_reason)
    return " ".join(words)


def _counted(counts: Counter[RunStatus]) -> str:
    return ", ".join(f"{counts[status]} {status.lower()}" for status in _STYLES)
