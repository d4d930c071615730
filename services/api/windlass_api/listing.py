"""Owns how runs are chosen: those that a filter means, newest first."""

import json
from collections.abc import AsyncIterator, Callable, Collection

from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.paging import DEFAULT_RUNS_PAGE, Place, page_size, read_token, token_of
from windlass_api.presentation import STATUSES, to_run
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_ITEMS_PER_MESSAGE
from windlass_core.domain.names import flow_queue, flow_task
from windlass_core.domain.phase import Phase
from windlass_core.failure import failure_message
from windlass_core.rpc.portion import PORTION_BYTES
from windlass_core.store.runs import Runs, StoredRun

_SCANNED_PER_CALL = 10_000
# With their inputs and outputs: they are all in memory at once.
_CHUNK = 100


class Search:
    """Runs that a filter means, from a page's token on. Looks at 10,000 at the most.

    `phases` are those that may be meant at all; with `whole` the runs come with specs and outputs.
    """

    def __init__(
        self,
        runs: Runs,
        namespace: str,
        asked: run_service_pb2.RunFilter,
        page_token: str,
        *,
        dead_letter: bool = False,
        phases: Collection[Phase] = frozenset(Phase),
        whole: bool = False,
    ) -> None:
        """Raises InvalidField for a wrong filter or token."""
        self._runs = runs
        self._namespace = namespace
        self._asked = asked
        self._dead_letter = dead_letter
        self._phases = phases
        self._error_types = frozenset(asked.error_types)
        self._matches = _matcher(asked)
        self._read = runs.get if whole or asked.metadata else runs.standing
        #: Where to go on: before the run, or the runs, given last, until the next are asked for.
        self.after: Place | None = read_token(page_token) if page_token else None

    @property
    def next_page_token(self) -> str:
        """Names `after`; empty where everything has been looked at."""
        return token_of(self.after)

    async def chunks(self) -> AsyncIterator[list[tuple[Place, StoredRun]]]:
        """What is meant, with where to go on after it, up to a hundred at a time, maybe none."""
        asked = self._asked
        for _ in range(_SCANNED_PER_CALL // _CHUNK):
            pairs = await self._runs.newest_first(
                self._namespace, self.after, asked.since_ms, asked.until_ms, _CHUNK, failed=self._dead_letter
            )
            if not pairs:
                self.after = None
                return
            places = [(ms, run_id) for run_id, ms in pairs]
            stored = await self._read(self._namespace, [run_id for run_id, _ in pairs])
            meant = [(place, run) for place, run in zip(places, stored, strict=True) if run and self._is_meant(run)]
            yield await self._of_types(meant) if self._error_types else meant
            self.after = places[-1]

    def _is_meant(self, run: StoredRun) -> bool:
        return run.phase in self._phases and self._matches(run)

    async def _of_types(self, found: list[tuple[Place, StoredRun]]) -> list[tuple[Place, StoredRun]]:
        """Those whose last failure is of the types that are asked for."""
        failed = [each for each in found if each[1].phase is Phase.FAILED]
        failures = await self._runs.last_failures([run.run_id for _, run in failed])
        return [
            each
            for each, failure in zip(failed, failures, strict=True)
            if failure and run_pb2.Failure.FromString(failure.body).type in self._error_types
        ]


async def list_runs(
    runs: Runs, namespace: str, request: run_service_pb2.ListRunsRequest
) -> run_service_pb2.ListRunsResponse:
    """A page, newest first. Looks at 10,000 runs at the most, and ends early where they are large."""
    wanted = page_size(request.page_size, DEFAULT_RUNS_PAGE)
    search = Search(runs, namespace, request.filter, request.page_token, dead_letter=request.dead_letter, whole=True)
    found: list[run_pb2.Run] = []
    room = PORTION_BYTES
    async for chunk in search.chunks():
        after = search.after
        failures = await _last_failures(runs, chunk) if request.dead_letter else {}
        for place, run in chunk:
            message = to_run(run)
            message.failures.extend(failures.get(run.run_id, ()))
            room -= message.ByteSize()
            if room < 0 and found:
                return run_service_pb2.ListRunsResponse(runs=found, next_page_token=token_of(after))
            found.append(message)
            after = place
            if len(found) == wanted:
                return run_service_pb2.ListRunsResponse(runs=found, next_page_token=token_of(after))
    return run_service_pb2.ListRunsResponse(runs=found, next_page_token=search.next_page_token)


async def _last_failures(runs: Runs, chunk: list[tuple[Place, StoredRun]]) -> dict[str, list[run_pb2.Failure]]:
    """The last failure of each run, without its traceback."""
    run_ids = [run.run_id for _, run in chunk]
    told: dict[str, list[run_pb2.Failure]] = {}
    for run_id, failure in zip(run_ids, await runs.last_failures(run_ids), strict=True):
        if failure is not None:
            message = failure_message(failure)
            message.ClearField("traceback")
            told[run_id] = [message]
    return told


def _matcher(asked: run_service_pb2.RunFilter) -> Callable[[StoredRun], bool]:
    """Whether a run is meant, but for its failure. Raises InvalidField for too many values of a kind."""
    for name in ("statuses", "workflow_names", "queues", "error_types", "metadata"):
        many = getattr(asked, name)
        if len(many) > MAX_ITEMS_PER_MESSAGE:
            field = f"filter.{name}"
            raise InvalidField(f"{field}: expected at most {MAX_ITEMS_PER_MESSAGE}, got {len(many)}", field)
    statuses, names, queues = frozenset(asked.statuses), frozenset(asked.workflow_names), frozenset(asked.queues)
    wanted = dict(asked.metadata)

    def matches(run: StoredRun) -> bool:
        if statuses and STATUSES[run.phase] not in statuses:
            return False
        if names and flow_task(run.flow) not in names:
            return False
        if queues and flow_queue(run.flow) not in queues:
            return False
        if wanted:
            metadata = json.loads(run_pb2.RunSpec.FromString(run.spec).metadata_json or b"{}")
            return all(_text(metadata.get(key)) == value for key, value in wanted.items())
        return True

    return matches


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
