"""Owns acting on many runs: those that a request names by ids, or those that its filter means.

What is done to them is given; here is that no call does more than it should, and that all it did is told.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from windlass.v1 import run_service_pb2
from windlass_api.listing import Search
from windlass_core.domain.errors import InvalidField, StoreUnavailable
from windlass_core.domain.limits import MAX_ITEMS_PER_MESSAGE, check_count
from windlass_core.domain.names import check_run_id
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import Runs

Request: TypeAlias = (
    run_service_pb2.CancelRunsRequest | run_service_pb2.ReplayRunsRequest | run_service_pb2.DeleteRunsRequest
)
#: Does it to runs of the caller's namespace, and says of each what came of it.
Act: TypeAlias = Callable[[list[str]], Awaitable[list[str]]]

LIVE: frozenset[Phase] = frozenset(phase for phase in Phase if not phase.terminal)
ENDED: frozenset[Phase] = frozenset(Phase) - LIVE


@dataclass(slots=True)
class Acted:
    """What came of it: for ids an outcome each, for a filter how often each outcome, and where to go on."""

    outcomes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    next_page_token: str = ""


async def act_on(
    request: Request, act: Act, runs: Runs, namespace: str, phases: Collection[Phase], *, dead_letter: bool = False
) -> Acted:
    """Raises InvalidField, and StoreUnavailable where nothing was done; with a filter only `phases` are meant."""
    if not request.HasField("filter"):
        return Acted(outcomes=await act(check_run_ids(request.run_ids)))
    if request.run_ids:
        raise InvalidField("filter: expected none beside run_ids", "filter")
    if not request.all and request.filter == run_service_pb2.RunFilter():
        raise InvalidField("filter: expected a condition at least, or `all` for really all runs", "filter")
    search = Search(runs, namespace, request.filter, request.page_token, dead_letter=dead_letter, phases=phases)
    acted = Acted()
    try:
        async for chunk in search.chunks():
            if acted.counts.total() >= MAX_ITEMS_PER_MESSAGE:
                break
            acted.counts.update(await act([run.run_id for _, run in chunk]) if chunk else ())
    except StoreUnavailable:
        # What was done has to be told: the next call begins with what was not.
        if not acted.counts:
            raise
    acted.next_page_token = search.next_page_token
    return acted


def check_run_ids(run_ids: Collection[str]) -> list[str]:
    """1 to 1,000 ids. Raises InvalidField."""
    check_count(run_ids, "run_ids")
    return [check_run_id(run_id, f"run_ids[{i}]") for i, run_id in enumerate(run_ids)]
