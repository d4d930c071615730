"""Owns what keeps runs waiting, as the command line shows and changes it: pauses and rate limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from windlass import NotFound, Windlass
from windlass.cli.output import as_object, length, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from windlass.rate_limits import RateLimitState


class Pausable(Protocol):
    """A client of the app whose things can be paused."""

    def pause(self, *names: str) -> None:
        """Start nothing more of these, or nothing more there."""

    def unpause(self, *names: str) -> None:
        """Let these go on."""


def pause(client: Callable[[Windlass], Pausable], names: Sequence[str]) -> None:
    """Pause what the app's client knows by these names. Raises UnknownTask, UnknownWorker, InvalidInput."""
    with Windlass() as app:
        client(app).pause(*names)
    print(f"paused: {', '.join(names)}")


def unpause(client: Callable[[Windlass], Pausable], names: Sequence[str]) -> None:
    """Let them go on. Raises as `pause`."""
    with Windlass() as app:
        client(app).unpause(*names)
    print(f"going on: {', '.join(names)}")


def list_queues(*, as_json: bool) -> None:
    """Print the queues, by name."""
    with Windlass() as app:
        found = app.queues.list()
    if as_json:
        print_json([as_object(queue) for queue in found])
        return
    rows = ((each.name, str(each.queued_runs), "paused" if each.paused else "") for each in found)
    print_table(("name", "queued", ""), rows, nothing="no queue has runs")


def list_rate_limits(*, as_json: bool) -> None:
    """Print the limits, by name."""
    with Windlass() as app:
        found = app.rate_limits.list()
    if as_json:
        print_json([as_object(limit) for limit in found])
        return
    rows = ((each.key, f"{each.used} of {each.limit}", length(each.duration), _refill(each)) for each in found)
    columns = ("key", "used", "per", "all there again in")
    print_table(columns, rows, nothing="no rate limits; put one: windlass rate-limits put KEY LIMIT DURATION")


def put_rate_limit(key: str, limit: int, duration: str) -> None:
    """Make or replace a limit. Raises InvalidInput."""
    with Windlass() as app:
        app.rate_limits.put(key, limit, duration)
    print(f"put: {key}, {limit} per {duration}")


def delete_rate_limits(keys: Sequence[str]) -> None:
    """Delete limits, all of them even where some are unknown; raises NotFound for those."""
    unknown = []
    with Windlass() as app:
        for key in keys:
            try:
                app.rate_limits.delete(key)
            except NotFound:
                unknown.append(key)
            else:
                print(f"deleted: {key}")
    if unknown:
        raise NotFound(f"there is no rate limit {', '.join(unknown)}")


def _refill(limit: RateLimitState) -> str:
    return "" if limit.window_ends_at is None else length(limit.window_ends_at - datetime.now(UTC))
