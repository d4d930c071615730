"""Owns what chooses runs on the command line: ids, or the filters of `windlass runs list`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from windlass.bulk import RunFilter
from windlass.duration import to_milliseconds
from windlass.exceptions import InvalidInput
from windlass.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """The options that choose runs, read."""

    statuses: tuple[RunStatus, ...]
    workflow_names: tuple[str, ...]
    since: datetime | None
    metadata: dict[str, str]
    limit: int
    queues: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        statuses: Sequence[str] | None,
        workflows: Sequence[str] | None,
        since: str,
        metadata: Sequence[str] | None,
        limit: int = 0,
        *,
        queues: Sequence[str] | None = None,
        error_types: Sequence[str] | None = None,
    ) -> Self:
        """Read them as they were typed; raises InvalidInput."""
        return cls(
            statuses=tuple(map(_status, statuses or ())),
            workflow_names=tuple(workflows or ()),
            since=datetime.now(UTC) - timedelta(milliseconds=duration(since, "--since")) if since else None,
            metadata=dict(map(_pair, metadata or ())),
            limit=limit,
            queues=tuple(queues or ()),
            error_types=tuple(error_types or ()),
        )

    @property
    def chooses(self) -> bool:
        """Whether any of them was given."""
        return bool(
            self.statuses or self.workflow_names or self.since or self.metadata or self.queues or self.error_types
        )

    def runs(self, *, everything: bool = False) -> RunFilter:
        """Give the runs that they mean, as the SDK takes them."""
        return RunFilter(
            statuses=self.statuses,
            workflow_names=self.workflow_names,
            queues=self.queues,
            error_types=self.error_types,
            since=self.since,
            additional_metadata=self.metadata,
            all=everything,
        )

    def arguments(self, otherwise: Sequence[RunStatus] = ()) -> dict[str, Any]:
        """Give them as `app.runs.list` takes them; `otherwise` are the statuses where nothing chooses."""
        return {
            "statuses": self.statuses if self.chooses else otherwise,
            "workflow_names": self.workflow_names,
            "since": self.since,
            "additional_metadata": self.metadata,
            "limit": self.limit,
        }


def read_ids(words: Sequence[str], wanted: FilterOptions) -> list[str]:
    """Give the ids that were typed, each once; `-` stands for those on stdin. Raises InvalidInput."""
    if words and wanted.chooses:
        raise InvalidInput("name runs by their ids or choose them by options, not both")
    run_ids: dict[str, None] = {}
    for word in words:
        run_ids.update(dict.fromkeys(sys.stdin.read().split() if word == "-" else [word]))
    if words and not run_ids:
        raise InvalidInput("no run ids on stdin")
    return list(run_ids)


def duration(text: str, option: str) -> int:
    """Read a duration as milliseconds; raises InvalidInput, naming the option."""
    try:
        return to_milliseconds(text, option)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def _status(text: str) -> RunStatus:
    try:
        return RunStatus(text.upper())
    except ValueError:
        raise InvalidInput(f"--status {text}: expected one of {', '.join(RunStatus)}") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InvalidInput(f"--metadata {text}: expected KEY=VALUE")
    return key, value
