"""Owns how the survey is shown, while it runs and when it has ended. Decides nothing."""

from __future__ import annotations

import statistics
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from examples.stdlib_survey.source_facts import SourceFacts
    from examples.stdlib_survey.survey import Survey

_ROWS: Final = 8

_NEXT: Final = """\
Where to look next
  examples/stdlib_survey/tasks.py    the tasks of this survey: what you would write
  README.md                          a first task in ten lines
  docs/getting-started.md            from an empty folder to a worker that reloads: windlass dev
  docs/coming-from-celery.md         Celery and Windlass side by side
  ARCHITECTURE.md                    what has just run, with a drawing"""


class _Speed(ProgressColumn):
    """How many files a second; nothing before there is a figure."""

    @override
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f} files/s")


@contextmanager
def progress(console: Console, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show runs as they end: a live bar on a terminal, a line for each tenth elsewhere."""
    if not console.is_terminal:
        yield _plain_progress(console, total)
        return
    columns = (
        TextColumn("surveying"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("surveying", total=total)

        def tell(ended: int, said: str) -> None:
            if said:
                bar.console.print(f"  {said}")
            bar.advance(task, ended)

        yield tell


def _plain_progress(console: Console, total: int) -> Callable[[int, str], None]:
    done = 0

    def tell(ended: int, said: str) -> None:
        nonlocal done
        if said:
            console.print(f"  {said}", highlight=False)
        tenth = done * 10 // total
        done += ended
        if done * 10 // total > tenth:
            console.print(f"  {done:,} of {total:,} files surveyed", highlight=False)

    return tell


def show_next(console: Console) -> None:
    """Print where to look next."""
    console.print(f"\n{_NEXT}", highlight=False, soft_wrap=True)


def show(console: Console, survey: Survey) -> None:
    """Print what was found and how it went."""
    console.print()
    console.print(_largest(survey.facts))
    console.print(_most_branching(survey.facts))
    console.print(_most_imported(survey.facts))
    console.print(_retried(survey))
    console.print(_figures(survey))


def _table(title: str, *columns: str, numbers: int) -> Table:
    """Make a table whose last `numbers` columns hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", min_width=72)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= len(columns) - numbers else "left")
    return table


def _largest(facts: list[SourceFacts]) -> Table:
    table = _table("Largest files", "file", "lines", "functions", "classes", "nesting", numbers=4)
    for each in sorted(facts, key=lambda each: each.lines, reverse=True)[:_ROWS]:
        table.add_row(
            each.path, f"{each.lines:,}", f"{each.functions:,}", f"{each.classes:,}", str(each.deepest_nesting)
        )
    return table


def _most_branching(facts: list[SourceFacts]) -> Table:
    found = [(each.path, each.most_branching_function) for each in facts]
    known = [(path, function) for path, function in found if function is not None]
    table = _table("Most branching functions", "function", "where", "lines", "branches", numbers=2)
    for path, function in sorted(known, key=lambda pair: pair[1].branches, reverse=True)[:_ROWS]:
        table.add_row(function.name, f"{path}:{function.line}", f"{function.lines:,}", str(function.branches))
    return table


def _most_imported(facts: list[SourceFacts]) -> Table:
    files: Counter[str] = Counter()
    for each in facts:
        files.update(each.imports.keys())
    table = _table("Most imported", "package", "files that import it", numbers=1)
    for package, count in files.most_common(_ROWS):
        table.add_row(package, f"{count:,}")
    return table


def _retried(survey: Survey) -> Table:
    table = _table("Retried", "file", "last error", "attempts", numbers=1)
    for run in survey.retried:
        table.add_row(run.path, run.errors[-1] if run.errors else "none", str(run.attempts))
    return table


def _figures(survey: Survey) -> Table:
    lines = sum(each.lines for each in survey.facts)
    unreadable = sum(bool(each.problem) for each in survey.facts)
    cuts = statistics.quantiles(survey.round_trips, n=100)
    table = _table("How it went", "what", "figure", numbers=1)
    rows = {
        "files surveyed, one run each": f"{len(survey.facts):,}",
        "lines read": f"{lines:,}",
        "files that are no Python of this version": f"{unreadable:,}",
        "submitted": f"{survey.files / survey.submit_seconds:,.0f} runs/s",
        "surveyed, parsing included": f"{survey.files / survey.seconds:,.0f} files/s, {survey.seconds:.1f} s in all",
        f"an empty task, submit to result ({len(survey.round_trips)}, one by one)": (
            f"p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f} ms"
        ),
        "runs retried / failed for good": f"{len(survey.retried)} / {len(survey.failures)}",
        "runs cancelled while they ran": f"{len(survey.cancelled_run_ids)}, in {survey.cancel_seconds:.2f} s",
    }
    for what, figure in rows.items():
        table.add_row(what, figure)
    return table
