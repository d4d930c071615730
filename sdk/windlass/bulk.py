"""Owns how many runs are meant at once, by their ids or by a filter, and what became of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from windlass.exceptions import InvalidInput
from windlass.status import RunStatus
from windlass.v1 import run_pb2, run_service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from windlass.transport.session import Api, ClientSession

_MOST_IDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Runs for which all of it is true.

    Args:
        statuses: only these; empty: all.
        workflow_names: only these; empty: all.
        queues: only these; empty: all.
        error_types: only runs that ended FAILED with an error of one of these types, as `"KeyError"`; empty: all.
        since: submitted at or after, in the dead letter: failed; aware, or in local time.
        until: submitted before, in the dead letter: failed; aware, or in local time.
        additional_metadata: only runs with all these keys and values.
        all: has to be True where nothing else is given: really all runs.

    """

    statuses: Iterable[RunStatus] = ()
    workflow_names: Iterable[str] = ()
    queues: Iterable[str] = ()
    error_types: Iterable[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    additional_metadata: Mapping[str, str] | None = None
    all: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense; what can be read but once is read now."""
        for name in ("statuses", "workflow_names", "queues", "error_types"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise InvalidInput(f"{name} takes a list, not {given!r}")
            object.__setattr__(self, name, tuple(given))
        for name in ("since", "until"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, datetime):
                raise InvalidInput(f"{name} takes a datetime, not {given!r}")
        try:
            self.to_proto()
        except (ValueError, TypeError) as error:
            raise InvalidInput(str(error)) from None

    def to_proto(self) -> run_service_pb2.RunFilter:
        """Write it as the contracts have it."""
        return run_service_pb2.RunFilter(
            statuses=[run_pb2.RunStatus.ValueType(RunStatus(each).number) for each in self.statuses],
            workflow_names=list(self.workflow_names),
            queues=list(self.queues),
            error_types=list(self.error_types),
            since_ms=_milliseconds(self.since),
            until_ms=_milliseconds(self.until),
            metadata=dict(self.additional_metadata or {}),
        )


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of many runs.

    Args:
        counts: outcome to the number of runs, as `{"cancelled": 3, "requested": 1}`.
        outcomes: run id to outcome where ids were given; empty for a filter.

    """

    counts: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is done to many runs: the call, its request, and its outcomes by their numbers."""

    method: Callable[[Api], Any]
    request: Callable[..., Any]
    outcomes: Any
    prefix: str
    counted: tuple[str, ...]

    async def to(
        self, session: ClientSession, api: Api, run_ids: Iterable[str] | None, wanted: RunFilter | None, **rest: Any
    ) -> BulkResult:
        """Do it to the runs of these ids, or to all that the filter means. On the I/O thread."""
        if (run_ids is None) == (wanted is None):
            raise InvalidInput("run ids or a filter were expected, one of the two")
        if wanted is None:
            return await self._to_ids(session, api, run_ids or (), rest)
        counts: Counter[str] = Counter()
        request = self.request(filter=wanted.to_proto(), all=wanted.all, **rest)
        for answer in await session.listed(self.method(api), request, lambda answer: [answer]):
            counts.update({name: getattr(answer, name) for name in self.counted})
        return BulkResult(dict(counts))

    async def _to_ids(
        self, session: ClientSession, api: Api, run_ids: Iterable[str], rest: dict[str, Any]
    ) -> BulkResult:
        if isinstance(run_ids, str):
            raise InvalidInput("run_ids takes a list")
        wanted = list(dict.fromkeys(run_ids))
        outcomes: dict[str, str] = {}
        for first in range(0, len(wanted), _MOST_IDS):
            page = wanted[first : first + _MOST_IDS]
            answer = await session.unary(self.method(api), self.request(run_ids=page, **rest))
            outcomes |= dict(zip(page, map(self.name_of, answer.outcomes), strict=True))
        return BulkResult(dict(Counter(outcomes.values())), outcomes)

    def name_of(self, outcome: int) -> str:
        """Name an outcome as users see it."""
        name: str = self.outcomes.Name(outcome)
        return name.removeprefix(self.prefix).lower()


CANCEL: Final = Deed(
    lambda api: api.runs.CancelRuns,
    run_service_pb2.CancelRunsRequest,
    run_service_pb2.CancelOutcome,
    "CANCEL_OUTCOME_",
    ("cancelled", "requested"),
)
REPLAY: Final = Deed(
    lambda api: api.runs.ReplayRuns,
    run_service_pb2.ReplayRunsRequest,
    run_service_pb2.ReplayOutcome,
    "REPLAY_OUTCOME_",
    ("replayed", "key_taken"),
)
DELETE: Final = Deed(
    lambda api: api.runs.DeleteRuns,
    run_service_pb2.DeleteRunsRequest,
    run_service_pb2.DeleteOutcome,
    "DELETE_OUTCOME_",
    ("deleted",),
)


async def list_runs(
    session: ClientSession, api: Api, wanted: RunFilter, limit: int, *, dead_letter: bool = False
) -> list[run_pb2.Run]:
    """Give runs that a filter means, newest first, at most `limit`. On the I/O thread."""
    request = run_service_pb2.ListRunsRequest(filter=wanted.to_proto(), dead_letter=dead_letter)
    return await session.listed(api.runs.ListRuns, request, lambda page: page.runs, limit)


def _milliseconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp() * 1000)
