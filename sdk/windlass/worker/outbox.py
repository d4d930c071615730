"""What waits to be sent on the stream. Owns gathering it into as few messages as will hold it.

Knows nothing of leases: what may be sent, and again, is decided by the session.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

from windlass.v1 import dispatch_service_pb2
from windlass.worker.outcome import Completion
from windlass.worker.outgoing_stream import chunk_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from windlass.worker.outcome import LoggedLine, Outcome, PutChunk, RefreshedTimeout, ToldProgress

    _Entry = TypeVar("_Entry", LoggedLine, PutChunk)

# A message may have 4 MiB; the largest single item (a 1 MiB output, a 64 KiB failure) fits on top.
MESSAGE_BYTES: Final = 2 * 1024 * 1024
# Log lines kept while there is no stream; the oldest go first.
LOG_LINES: Final = 10_000
LOG_BYTES: Final = 8 * 1024 * 1024
# Progress goes out this often, in seconds: what an attempt says in between is replaced by what it says next.
PROGRESS_EVERY: Final = 0.25
# Ids and tags of one entry.
ENTRY_BYTES: Final = 96


class Outbox:
    """Accepts, outcomes, log lines, chunks of streams and progress on their way to the dispatcher."""

    def __init__(self, accept_delay: float) -> None:
        """Take accepts along `accept_delay` seconds after they were put in.

        An attempt that ends before that never needs one, which spares the engine a step.
        """
        self._accept_delay = accept_delay
        self._accepts: dict[str, float] = {}
        self._refreshed: dict[str, RefreshedTimeout] = {}
        self._slotless: dict[str, str] = {}
        self._outcomes: list[Outcome] = []
        self._logs: deque[LoggedLine] = deque()
        self._log_bytes = 0
        self._chunks: deque[PutChunk] = deque()
        self._progress: dict[str, ToldProgress] = {}
        self._progress_due = 0.0
        self._last_words: list[ToldProgress] = []
        self.dropped_log_lines = 0

    def add_accepts(self, lease_ids: Iterable[str], now: float) -> None:
        """Accept these leases, unless they end first."""
        due = now + self._accept_delay
        self._accepts.update((lease_id, due) for lease_id in lease_ids)

    def forget(self, lease_id: str) -> None:
        """Forget what was to be said of an attempt that is no longer ours."""
        for waiting in (self._accepts, self._refreshed, self._slotless, self._progress):
            waiting.pop(lease_id, None)

    def add_refreshed(self, lease_id: str, refreshed: RefreshedTimeout) -> None:
        """Tell of a time limit that begins anew with the next message; only the newest counts."""
        self._refreshed[lease_id] = refreshed

    def add_slot_release(self, lease_id: str, run_id: str) -> None:
        """Tell with the next message that an attempt takes no slots any more."""
        self._slotless[lease_id] = run_id

    def add_outcome(self, outcome: Outcome) -> None:
        """Report an outcome with the next message."""
        self._accepts.pop(outcome.lease_id, None)
        self._refreshed.pop(outcome.lease_id, None)
        self._slotless.pop(outcome.lease_id, None)
        self._outcomes.append(outcome)
        if (progress := self._progress.pop(outcome.lease_id, None)) is not None:
            self._last_words.append(progress)  # goes before the outcome

    def add_log(self, entry: LoggedLine) -> None:
        """Send a log line; past the limits the oldest lines are dropped and counted."""
        self._logs.append(entry)
        self._log_bytes += len(entry.line.message) + ENTRY_BYTES
        while len(self._logs) > LOG_LINES or self._log_bytes > LOG_BYTES:
            self._log_bytes -= len(self._logs.popleft().line.message) + ENTRY_BYTES
            self.dropped_log_lines += 1

    def add_chunk(self, entry: PutChunk) -> None:
        """Send a chunk of a stream. What an attempt may have under way bounds them."""
        self._chunks.append(entry)

    def add_progress(self, entry: ToldProgress) -> None:
        """Tell how far an attempt is, in place of what it said before and has not been sent."""
        self._progress[entry.lease_id] = entry

    def forget_reports(self) -> None:
        """Drop accepts, outcomes and chunks: the next Welcome decides what is to be sent again."""
        self._accepts.clear()
        self._refreshed.clear()
        self._slotless.clear()
        self._outcomes.clear()
        self._chunks.clear()

    def next_due(self) -> float | None:
        """When something is to be sent that nothing else will take along."""
        accept = next(iter(self._accepts.values()), None)
        if not self._progress:
            return accept
        return self._progress_due if accept is None else min(accept, self._progress_due)

    def take(self, now: float) -> list[dispatch_service_pb2.ConnectRequest]:
        """Take all that is to be sent now, in order: what attempts said before the outcomes that it precedes."""
        requests: list[dispatch_service_pb2.ConnectRequest] = []
        if self._logs:
            self._take_logs(requests)
        if self._chunks:
            self._take_chunks(requests)
        if self._progress and now >= self._progress_due:
            self._progress_due = now + PROGRESS_EVERY
            self._last_words += self._progress.values()
            self._progress.clear()
        if self._last_words:
            self._take_progress(requests)
        due = self._take_accepts(now)
        if self._refreshed:
            self._take_refreshed(requests, now)
        if self._slotless:
            self._take_slot_releases(requests)
        if self._outcomes or due:
            self._take_reports(requests, due)
        return requests

    def _take_accepts(self, now: float) -> list[str]:
        due: list[str] = []
        for lease_id, at in self._accepts.items():
            if at > now:
                break
            due.append(lease_id)
        for lease_id in due:
            del self._accepts[lease_id]
        return due

    def _take_refreshed(self, requests: list[dispatch_service_pb2.ConnectRequest], now: float) -> None:
        refreshed, self._refreshed = self._refreshed, {}
        request = dispatch_service_pb2.ConnectRequest()
        requests.append(request)
        for lease_id, each in refreshed.items():
            request.report.refreshed.add(lease_id=lease_id, run_id=each.run_id, execution_timeout_ms=each.left_ms(now))

    def _take_slot_releases(self, requests: list[dispatch_service_pb2.ConnectRequest]) -> None:
        slotless, self._slotless = self._slotless, {}
        at_once = MESSAGE_BYTES // ENTRY_BYTES
        for place, (lease_id, run_id) in enumerate(slotless.items()):
            if place % at_once == 0:
                requests.append(dispatch_service_pb2.ConnectRequest())
            requests[-1].report.released_slots.add(lease_id=lease_id, run_id=run_id)

    def _take_reports(self, requests: list[dispatch_service_pb2.ConnectRequest], accepted: list[str]) -> None:
        request = dispatch_service_pb2.ConnectRequest()
        requests.append(request)
        report = request.report
        report.accepted_lease_ids.extend(accepted)
        room = MESSAGE_BYTES - len(accepted) * ENTRY_BYTES
        outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            if room <= 0:
                request = dispatch_service_pb2.ConnectRequest()
                requests.append(request)
                report = request.report
                room = MESSAGE_BYTES
            if isinstance(outcome, Completion):
                lease_id, run_id, output = outcome
                report.completed.add(lease_id=lease_id, run_id=run_id, output_json=output)
                room -= len(output) + ENTRY_BYTES
            else:
                report.failed.add(
                    lease_id=outcome.lease_id,
                    run_id=outcome.run_id,
                    failure=outcome.failure,
                    released=outcome.released,
                    crash=outcome.crash,
                )
                room -= outcome.failure.ByteSize() + ENTRY_BYTES

    def _take_progress(self, requests: list[dispatch_service_pb2.ConnectRequest]) -> None:
        told, self._last_words = self._last_words, []
        request = dispatch_service_pb2.ConnectRequest()
        requests.append(request)
        room = MESSAGE_BYTES
        for lease_id, run_id, progress in told:
            if room <= 0:
                request = dispatch_service_pb2.ConnectRequest()
                requests.append(request)
                room = MESSAGE_BYTES
            request.progresses.progresses.add(lease_id=lease_id, run_id=run_id, progress=progress)
            room -= progress.ByteSize() + ENTRY_BYTES

    def _take_logs(self, requests: list[dispatch_service_pb2.ConnectRequest]) -> None:
        logs, self._logs, self._log_bytes = self._logs, deque(), 0
        for by_lease in _messages(logs, lambda entry: entry.line.ByteSize() + ENTRY_BYTES):
            request = dispatch_service_pb2.ConnectRequest()
            for lease_id, entries in by_lease.items():
                lines = [entry.line for entry in entries]
                request.logs.logs.add(lease_id=lease_id, run_id=entries[0].run_id, lines=lines)
            requests.append(request)

    def _take_chunks(self, requests: list[dispatch_service_pb2.ConnectRequest]) -> None:
        chunks, self._chunks = self._chunks, deque()
        for by_lease in _messages(chunks, lambda entry: chunk_bytes(entry.chunk)):
            request = dispatch_service_pb2.ConnectRequest()
            for lease_id, entries in by_lease.items():
                request.chunks.chunks.add(
                    lease_id=lease_id,
                    run_id=entries[0].run_id,
                    first=entries[0].number,
                    chunks=[entry.chunk for entry in entries],
                )
            requests.append(request)


def _messages(entries: Iterable[_Entry], size: Callable[[_Entry], int]) -> Iterator[dict[str, list[_Entry]]]:
    """Give, in order, what goes into one message each: those of a lease together."""
    by_lease: dict[str, list[_Entry]] = {}
    room = MESSAGE_BYTES
    for entry in entries:
        if room <= 0:
            yield by_lease
            by_lease, room = {}, MESSAGE_BYTES
        by_lease.setdefault(entry.lease_id, []).append(entry)
        room -= size(entry)
    yield by_lease
