"""Owns what is done to many runs by hand: which are meant, and how what became of them is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from windlass import UnknownRun, Windlass
from windlass.cli.output import ago, as_object, print_json, print_table, printable
from windlass.cli.run_filter import FilterOptions, read_ids
from windlass.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.bulk import BulkResult, RunFilter


@dataclass(frozen=True, slots=True)
class Choice:
    """Ids, or a filter in their place."""

    run_ids: list[str] | None
    filters: RunFilter | None

    @classmethod
    def read(cls, words: Sequence[str] | None, options: FilterOptions, *, everything: bool) -> Self:
        """Read what was typed; raises InvalidInput where that is neither or both."""
        run_ids = read_ids(words or [], options)
        if run_ids and everything:
            raise InvalidInput("name runs by their ids or choose --all, not both")
        if run_ids:
            return cls(run_ids, None)
        if not options.chooses and not everything:
            raise InvalidInput("name runs by their ids, choose them by options, or say --all")
        return cls(None, options.runs(everything=everything))


def cancel(chosen: Choice, *, as_json: bool) -> None:
    """Cancel runs, all of them even where some are unknown; raises UnknownRun for those."""
    with Windlass() as app:
        result = app.runs.bulk_cancel(chosen.run_ids, filters=chosen.filters, reason="windlass runs cancel")
    _tell(result, as_json=as_json)


def replay(chosen: Choice, *, as_json: bool) -> None:
    """Replay runs. Raises as `cancel` does."""
    with Windlass() as app:
        result = app.runs.bulk_replay(chosen.run_ids, filters=chosen.filters)
    _tell(result, as_json=as_json)


def retry_dead(chosen: Choice, *, as_json: bool) -> None:
    """Replay runs of the dead letter. Raises as `cancel` does."""
    with Windlass() as app:
        result = app.dead_letter.retry(chosen.run_ids, filters=chosen.filters)
    _tell(result, as_json=as_json)


def delete_dead(chosen: Choice, *, as_json: bool) -> None:
    """Delete runs of the dead letter. Raises as `cancel` does."""
    with Windlass() as app:
        result = app.dead_letter.delete(chosen.run_ids, filters=chosen.filters)
    _tell(result, as_json=as_json)


def list_dead(wanted: FilterOptions, limit: int, *, as_json: bool) -> None:
    """Print the dead letter, the latest failure first."""
    with Windlass() as app:
        found = app.dead_letter.list(wanted.runs(), limit=limit)
    if as_json:
        print_json([as_object(run) for run in found])
        return
    rows = []
    for run in found:
        error = run.errors[-1] if run.errors else None
        said = printable(f"{error.type}: {error.error}").partition("\n")[0] if error else ""
        when = "" if run.finished_at is None else ago(run.finished_at)
        rows.append((run.id, run.workflow_name, str(run.attempt), when, said))
    print_table(("id", "workflow", "attempt", "failed", "error"), rows, nothing="no failed runs")


def _tell(result: BulkResult, *, as_json: bool) -> None:
    told = result.outcomes or result.counts
    if as_json:
        print_json(told)
    elif result.outcomes:
        print_table(("id", "outcome"), [(run_id, _words(each)) for run_id, each in result.outcomes.items()], nothing="")
    else:
        counts = [f"{count} {_words(outcome)}" for outcome, count in result.counts.items() if count]
        print(", ".join(counts) or "no runs")
    unknown = [run_id for run_id, outcome in result.outcomes.items() if outcome == "unknown_run"]
    if unknown:
        raise UnknownRun(f"the engine has no run {', '.join(unknown)}: never accepted, or expired")


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
