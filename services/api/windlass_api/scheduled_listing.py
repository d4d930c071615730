"""Owns how runs that are still to come are listed: by their time, the next one first."""

from windlass.v1 import run_pb2, schedule_service_pb2
from windlass_api.paging import DEFAULT_RUNS_PAGE, Place, page_size, read_token, token_of
from windlass_api.presentation import to_run
from windlass_core.domain.phase import Phase
from windlass_core.rpc.portion import PORTION_BYTES
from windlass_core.store.shard import Shard

_SCANNED_PER_CALL = 10_000
# With their inputs: they are all in memory at once.
_CHUNK = 100


async def list_scheduled(
    shard: Shard, namespace: str, request: schedule_service_pb2.ListScheduledRunsRequest
) -> schedule_service_pb2.ListScheduledRunsResponse:
    """A page. Looks at 10,000 scheduled runs at the most, and ends early where they are large."""
    wanted = page_size(request.page_size, DEFAULT_RUNS_PAGE)
    after = read_token(request.page_token) if request.page_token else None
    found: list[run_pb2.Run] = []
    room = PORTION_BYTES
    for _ in range(_SCANNED_PER_CALL // _CHUNK):
        pairs = await shard.scheduled.page(namespace, after, request.since_ms, request.until_ms, _CHUNK)
        if not pairs:
            return _page(found, None)
        stored = await shard.runs.get(namespace, [run_id for run_id, _ in pairs])
        for (run_id, at_ms), run in zip(pairs, stored, strict=True):
            if run and run.phase is Phase.SCHEDULED:  # else its time has come just now
                message = to_run(run)
                if request.workflow_name in {"", message.spec.workflow_name}:
                    room -= message.ByteSize()
                    if room < 0 and found:
                        return _page(found, after)
                    found.append(message)
            after = (at_ms, run_id)
            if len(found) == wanted:
                return _page(found, after)
    return _page(found, after)


def _page(found: list[run_pb2.Run], after: Place | None) -> schedule_service_pb2.ListScheduledRunsResponse:
    return schedule_service_pb2.ListScheduledRunsResponse(runs=found, next_page_token=token_of(after))
