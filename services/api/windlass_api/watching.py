"""Owns how runs that are watched are shown as they move."""

from collections.abc import AsyncIterator

from windlass.v1 import run_service_pb2
from windlass_api.following import Follower
from windlass_api.presentation import to_state
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import Runs

# A failure may have 16 KiB, a message 4 MiB.
_LOOKED_AT_ONCE = 200


async def watch(runs: Runs, follower: Follower) -> AsyncIterator[run_service_pb2.WatchRunsResponse]:
    """How they stand, at first and each time that they have moved, until all have ended."""
    going_on = dict.fromkeys(follower.run_ids)
    while going_on:
        moved = [run_id for run_id in await follower.moved() if run_id in going_on]
        for first in range(0, len(moved), _LOOKED_AT_ONCE):
            page = moved[first : first + _LOOKED_AT_ONCE]
            found = [run for run in await runs.standing(follower.namespace, page) if run is not None]
            failed = [run.run_id for run in found if run.phase is Phase.FAILED]
            failures = dict(zip(failed, await runs.last_failures(failed), strict=True))
            yield run_service_pb2.WatchRunsResponse(runs=[to_state(run, failures.get(run.run_id)) for run in found])
            for run_id in {*page} - {run.run_id for run in found if not run.phase.terminal}:
                del going_on[run_id]
