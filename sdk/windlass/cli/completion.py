"""Owns what a shell is offered for a word that names something of the engine's.

Asks the api, for half a second at the most: whoever presses Tab does not want to wait, nor to read an error.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.client import Windlass

_SECONDS: Final = "0.5"
_RUNS: Final = 20


def run_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer the latest runs, each with what it is."""
    return _ask(
        incomplete,
        lambda app: [(run.id, f"{run.workflow_name} {run.status}") for run in app.runs.list(limit=_RUNS)],
    )


def task_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer what is registered."""
    return _ask(
        incomplete,
        lambda app: [(each.name, each.description.partition("\n")[0]) for each in app.workflows.list()],
    )


def cron_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer the crons, each with what it runs and when."""
    return _ask(
        incomplete, lambda app: [(each.id, f"{each.workflow_name} {each.expression}") for each in app.cron.list()]
    )


def scheduled_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer the runs that come next, each with its task."""
    return _ask(incomplete, lambda app: [(each.id, each.workflow_name) for each in app.scheduled.list(limit=_RUNS)])


def queue_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer the queues that have runs or are paused."""
    return _ask(incomplete, lambda app: [(each.name, f"{each.queued_runs} queued") for each in app.queues.list()])


def rate_limit_keys(incomplete: str) -> list[tuple[str, str]]:
    """Offer the limits that were put."""
    return _ask(incomplete, lambda app: [(each.key, f"{each.limit} units") for each in app.rate_limits.list()])


def _ask(incomplete: str, ask: Callable[[Windlass], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    from windlass import Windlass, WindlassError

    os.environ["WINDLASS_CONNECT_TIMEOUT"] = _SECONDS
    warnings.simplefilter("ignore")
    try:
        with Windlass() as app:
            return [each for each in ask(app) if each[0].startswith(incomplete)]
    except WindlassError:
        return []
