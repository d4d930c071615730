"""Owns how runs are filtered and paged."""

import json
from collections.abc import Callable

from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.presentation import to_run
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_ITEMS_PER_MESSAGE
from windlass_core.rpc.portion import PORTION_BYTES
from windlass_core.store.runs import Runs

_DEFAULT_PAGE = 50
_SCANNED_PER_CALL = 10_000
# With their inputs and outputs: they are all in memory at once.
_CHUNK = 100
# As many as a time in milliseconds, or a place, ever has.
_PLACE_DIGITS = 15


def page_size(asked: int, default: int) -> int:
    """How many to return. Raises InvalidField for more than 1,000."""
    if asked > MAX_ITEMS_PER_MESSAGE:
        raise InvalidField(f"page_size: expected at most {MAX_ITEMS_PER_MESSAGE}, got {asked}", "page_size")
    return asked or default


async def list_runs(
    runs: Runs, namespace: str, request: run_service_pb2.ListRunsRequest
) -> run_service_pb2.ListRunsResponse:
    """A page, newest first. Looks at 10,000 runs at the most, and ends early where they are large."""
    wanted = page_size(request.page_size, _DEFAULT_PAGE)
    matches = _matcher(request)
    after = _read_token(request.page_token) if request.page_token else None
    found: list[run_pb2.Run] = []
    room = PORTION_BYTES
    for _ in range(_SCANNED_PER_CALL // _CHUNK):
        pairs = await runs.newest_first(namespace, after, request.since_ms, request.until_ms, _CHUNK)
        if not pairs:
            return run_service_pb2.ListRunsResponse(runs=found)
        stored = await runs.get(namespace, [run_id for run_id, _ in pairs])
        for (run_id, created_ms), run in zip(pairs, stored, strict=True):
            message = to_run(run) if run else None
            if message is not None and matches(message):
                room -= message.ByteSize()
                if room < 0 and found:
                    return run_service_pb2.ListRunsResponse(runs=found, next_page_token=_token(after))
                found.append(message)
            after = (created_ms, run_id)
            if len(found) == wanted:
                return run_service_pb2.ListRunsResponse(runs=found, next_page_token=_token(after))
    return run_service_pb2.ListRunsResponse(runs=found, next_page_token=_token(after))


def _token(after: tuple[int, str] | None) -> str:
    return f"{after[0]}:{after[1]}" if after else ""


def _read_token(token: str) -> tuple[int, str]:
    ms, _, run_id = token.partition(":")
    if not run_id:
        raise _wrong_token()
    return read_place(ms), run_id


def read_place(token: str) -> int:
    """A page token that is a number. Raises InvalidField for what can't be one."""
    if not (token.isascii() and token.isdecimal() and len(token) <= _PLACE_DIGITS):
        raise _wrong_token()
    return int(token)


def _wrong_token() -> InvalidField:
    return InvalidField("page_token: expected a next_page_token as it was given", "page_token")


def _matcher(request: run_service_pb2.ListRunsRequest) -> Callable[[run_pb2.Run], bool]:
    """Whether a run is asked for. Raises InvalidField for too many filters of a kind."""
    for name, many in (
        ("statuses", request.statuses),
        ("workflow_names", request.workflow_names),
        ("metadata", request.metadata),
    ):
        if len(many) > MAX_ITEMS_PER_MESSAGE:
            raise InvalidField(f"{name}: expected at most {MAX_ITEMS_PER_MESSAGE}, got {len(many)}", name)
    statuses, names = frozenset(request.statuses), frozenset(request.workflow_names)
    wanted = dict(request.metadata)

    def matches(run: run_pb2.Run) -> bool:
        if statuses and run.status not in statuses:
            return False
        if names and run.spec.workflow_name not in names:
            return False
        if wanted:
            metadata = json.loads(run.spec.metadata_json or b"{}")
            return all(_text(metadata.get(key)) == value for key, value in wanted.items())
        return True

    return matches


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
