"""Owns how runs' log lines are read: a page of them, or all as they come."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.following import Follower
from windlass_api.presentation import STATUSES
from windlass_core.domain.errors import UnknownRun
from windlass_core.domain.limits import MAX_LOG_LINES_PER_RUN
from windlass_core.rpc.portion import portion
from windlass_core.store.runs import Runs


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, and the offsets of the first one and after the last one."""

    lines: list[run_pb2.LogLine]
    first_offset: int

    @property
    def next_offset(self) -> int:
        """Where the next page begins."""
        return self.first_offset + len(self.lines)


async def read_page(runs: Runs, namespace: str, run_id: str, offset: int, most: int = 0) -> Page:
    """The lines from an offset on, as many as fit into a message. Raises UnknownRun."""
    most = min(most or MAX_LOG_LINES_PER_RUN, MAX_LOG_LINES_PER_RUN)
    found = await runs.log_lines(namespace, run_id, offset, most)
    if found is None:
        raise UnknownRun(f"no run {run_id}")
    first, kept = found
    lines = portion(
        run_pb2.LogLine(
            logged_at_ms=at,
            level=level.decode(),
            message=text.decode(),
            attempt=attempt,
            trace_id=trace.decode(),
            span_id=span.decode(),
        )
        for at, level, text, attempt, trace, span in kept
    )
    return Page(lines, first)


async def tail(
    runs: Runs, follower: Follower, run_id: str, offset: int
) -> AsyncIterator[run_service_pb2.TailLogsResponse]:
    """The lines from an offset on until the run has ended. Raises UnknownRun: it has been deleted."""
    while True:
        await follower.moved()
        # Looked at before its lines are: those of the last attempt are stored before its end is.
        (run,) = await runs.standing(follower.namespace, [run_id])
        while True:
            page = await read_page(runs, follower.namespace, run_id, offset)
            if not page.lines:
                break
            yield run_service_pb2.TailLogsResponse(
                lines=page.lines, first_offset=page.first_offset, next_offset=page.next_offset
            )
            offset = page.next_offset
        if run is not None and run.phase.terminal:
            yield run_service_pb2.TailLogsResponse(
                first_offset=page.first_offset, next_offset=page.next_offset, ended=STATUSES[run.phase]
            )
            return
