"""Owns what can be done with runs: typed calls of the run scripts, and reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from windlass_core.domain.phase import Phase
from windlass_core.domain.retry import Budget
from windlass_core.randomness import mint_ids
from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts, unpack

# So many runs of a submit are given out at once, and so many when attempts complete: more would keep
# the store from its other callers.
EAGER_RUNS = 32
NEXT_RUNS = 200


class Submission(NamedTuple):
    """A run as run_submit takes it. Durations in milliseconds, 0: none.

    `parent` is '' for a root, `traceparent` where the trace is not recorded. `more` has what few runs
    have, by names that run_submit.lua tells; None for a plain run.
    """

    run_id: str
    spec: bytes
    flow: str
    level: int
    version: str
    delay_ms: int = 0
    expires_ms: int = 0
    execution_timeout_ms: int = 0
    wait: bool = False
    parent: str = ""
    traceparent: str = ""
    more: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The run that has the idempotency key of a submit; `refused` where the submit is not meant to find one."""

    run_id: str
    refused: bool


#: What became of a submit that stored nothing.
Verdict: TypeAlias = Literal["duplicate", "taken", "no_worker"] | KeyHolder
Reported: TypeAlias = Literal["recorded", "spent", "duplicate", "lease_lost"]
FailureVerdict: TypeAlias = Literal["retry", "dead", "release", "crash", "among"]

#: Run, lease, output; for a first attempt of a workflow that has one, its retry budget.
Completed: TypeAlias = tuple[str, str, bytes] | tuple[str, str, bytes, Budget]
#: Run, lease, verdict, delay ms, Failure; the retry budget of a workflow that has one.
Failed: TypeAlias = tuple[str, str, FailureVerdict, int, bytes] | tuple[str, str, FailureVerdict, int, bytes, Budget]

#: Of a run's log or stream: the offset of the first entry, and the entries.
Entries: TypeAlias = tuple[int, list[list[Any]]]


@dataclass(frozen=True, slots=True)
class StoredFailure:
    """A failed attempt. `body` is a serialized Failure with what the worker told.

    `replay` counts the run's replays before it: attempts of each begin with 1. `out_of_budget`: it was to
    be tried again, and the workflow's retry budget was used up.
    """

    attempt: int
    worker_id: str
    started_ms: int
    failed_ms: int
    body: bytes
    replay: int = 0
    out_of_budget: bool = False


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's hash. Times in milliseconds since 1970 UTC, 0 where there is none."""

    run_id: str
    spec: bytes
    flow: str
    version: str
    phase: Phase
    attempt: int
    created_ms: int
    ready_ms: int
    started_ms: int
    finished_ms: int
    output: bytes
    worker_id: str
    cancel_reason: str | None
    failures_dropped: int
    replays: int = 0
    # 0 where it was not asked for.
    level: int = 0
    # Of its flow, where it waits when it is ready.
    place: str = ""
    # A serialized Progress, empty where the last attempt has told none.
    progress: bytes = b""
    # The run of the hook that followed its end.
    hook_run_id: str = ""


_STANDING = ("f", "v", "ph", "n", "c", "t", "s", "d", "wk", "cx", "rp", "L", "pg", "fd", "hr")
_FIELDS = (*_STANDING, "b", "o", "p")


def _to_run(run_id: str, values: Sequence[bytes | None]) -> StoredRun | None:
    (
        flow,
        version,
        phase,
        attempt,
        created,
        ready,
        started,
        ended,
        worker,
        cx,
        replays,
        lease,
        progress,
        dropped,
        hook,
        *payloads,
    ) = values
    if flow is None:
        return None
    spec, output, place = payloads or (None, None, None)
    return StoredRun(
        run_id=run_id,
        spec=spec or b"",
        flow=flow.decode(),
        version=(version or b"").decode(),
        phase=Phase((phase or b"r").decode()),
        attempt=int(attempt or 0),
        created_ms=int(created or 0),
        ready_ms=int(ready or created or 0),
        started_ms=int(started or 0),
        finished_ms=int(ended or 0),
        output=output or b"",
        worker_id=(worker or b"").decode(),
        cancel_reason=None if cx is None else cx.decode(),
        # Of a run with gates their digest stands behind it.
        level=int((place or b"0")[:1]),
        place=(place or b"").decode(),
        failures_dropped=int(dropped or 0),
        replays=int(replays or 0),
        progress=_progress_of(progress, lease) if progress else b"",
        hook_run_id=(hook or b"").decode(),
    )


def _progress_of(kept: bytes, lease: bytes | None) -> bytes:
    said_under: bytes
    said_under, progress = unpack(kept)
    return progress if said_under == lease else b""


def to_failure(entry: list[Any]) -> StoredFailure:
    """A failure as scripts keep it."""
    attempt, worker, started, failed, body, replay, out_of_budget = entry
    return StoredFailure(attempt, worker.decode(), started, failed, body, replay, out_of_budget)


class Runs:
    """The runs of one shard. Every method raises StoreUnavailable; what adds to them, or keeps words, StoreFull too."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def submit(
        self, namespace: str, inc: str, leases: list[str], runs: list[Submission]
    ) -> tuple[int, dict[int, Verdict]]:
        """Stores runs; up to EAGER_RUNS leases let small batches start at once.

        Returns the definitions' epoch, and by place (from 0) `duplicate` or `taken` for those that
        were there before, and who has the key of those whose idempotency key is another run's.
        """
        epoch, told = await self._scripts.step("run_submit", (namespace, inc, leases, runs))
        verdicts = {int(place) - 1: _to_verdict(verdict) for place, verdict in _pairs(told)}
        return epoch, verdicts

    async def watch(self, namespace: str, inc: str, run_ids: list[str]) -> list[str]:
        """Has the api's outbox told of the runs' ends. Returns the ids of runs that don't exist."""
        unknown = await self._scripts.call("run_watch", (namespace, inc, run_ids))
        return [run_id.decode() for run_id in unknown]

    async def follow(self, namespace: str, inc: str, run_ids: list[str], *, follow: bool) -> list[str]:
        """Has the api's outbox told, or no longer, when a run moves. Returns the ids of runs that don't exist."""
        unknown = await self._scripts.call("run_follow", (namespace, inc, run_ids, follow))
        return [run_id.decode() for run_id in unknown]

    async def accept(self, attempts: list[tuple[str, str]]) -> int:
        """Marks (run, lease) as running. Returns how many were."""
        started: int = await self._scripts.call("run_accept", attempts)
        return started

    async def refresh(self, attempts: list[tuple[str, str, int]]) -> int:
        """Gives (run, lease) so many ms of execution from now on. Returns how many had a limit to move."""
        moved: int = await self._scripts.call("run_refresh", attempts)
        return moved

    async def release_slots(self, attempts: list[tuple[str, str]]) -> int:
        """Has (run, lease) go on without their slots. Returns how many are under way."""
        counted: int = await self._scripts.call("run_release_slots", attempts)
        return counted

    async def complete(self, attempts: Sequence[Completed]) -> list[Reported]:
        """Ends attempts with their outputs."""
        leases = mint_ids(min(len(attempts), NEXT_RUNS))
        return [v.decode() for v in await self._scripts.step("run_complete", (attempts, leases))]

    async def fail(self, attempts: Sequence[Failed]) -> list[Reported]:
        """Records what became of attempts that ended without an output."""
        return [v.decode() for v in await self._scripts.call("run_fail", attempts)]

    async def cancel(self, namespace: str, reason: str, run_ids: list[str]) -> list[str]:
        """Returns for each run `cancelled`, `requested`, `ended` or `unknown`."""
        outcomes = await self._scripts.call("run_cancel", (namespace, reason, run_ids))
        return [outcome.decode() for outcome in outcomes]

    async def replay(self, namespace: str, run_ids: list[str], *, only_failed: bool = False) -> list[str]:
        """Makes ended runs ready again.

        Returns for each run `replayed`, `already`, `not_ended`, `not_failed`, `key_taken` or `unknown`.
        Raises StoreFull.
        """
        outcomes = await self._scripts.call("run_replay", (namespace, only_failed, run_ids))
        return [outcome.decode() for outcome in outcomes]

    async def delete(self, namespace: str, run_ids: list[str]) -> list[str]:
        """Deletes runs that ended FAILED. Returns for each `deleted`, `not_failed` or `unknown`."""
        outcomes = await self._scripts.call("run_delete", (namespace, run_ids))
        return [outcome.decode() for outcome in outcomes]

    async def log(self, lines: list[tuple[str, str, list[bytes]]]) -> int:
        """Keeps (run, lease, lines). Returns how many lines were kept."""
        counted = [(run_id, lease, entries, False) for run_id, lease, entries in lines]
        return sum(await self._scripts.call("run_append", ("log", counted)))

    async def put_chunks(self, chunks: list[tuple[str, str, list[bytes], int]]) -> list[int | None]:
        """Keeps (run, lease, chunks, number of the first), the attempt's counted from 0, none of them twice.

        Returns for each the number up to which the attempt's chunks are kept; less than that of the first
        where some before it are missing, None where the lease is not the run's: nothing was kept then.
        """
        kept = await self._scripts.call("run_append", ("stream", chunks))
        return [None if taken is False else taken for taken in kept]

    async def progress(self, told: list[tuple[str, str, bytes]]) -> int:
        """Keeps (run, lease, serialized Progress), the last of each run. Returns how many were kept."""
        kept: int = await self._scripts.call("run_progress", told)
        return kept

    async def expire(self, retention_ms: int, most: int) -> tuple[int, bool]:
        """Deletes runs ended longer ago than that. Returns how many, and whether there are more."""
        deleted, more = await self._scripts.call("runs_expire", (retention_ms, most))
        return deleted, bool(more)

    async def get(self, namespace: str, run_ids: Sequence[str]) -> list[StoredRun | None]:
        """The runs, None for each that the namespace doesn't have."""
        return await self._get(namespace, run_ids, _FIELDS)

    async def standing(self, namespace: str, run_ids: Sequence[str]) -> list[StoredRun | None]:
        """The same without their specs and outputs."""
        return await self._get(namespace, run_ids, _STANDING)

    async def _get(self, namespace: str, run_ids: Sequence[str], fields: tuple[str, ...]) -> list[StoredRun | None]:
        replies = await self._reader.many([("HMGET", self._keys.run(run_id), *fields) for run_id in run_ids])
        runs = [_to_run(i, values) for i, values in zip(run_ids, replies, strict=True)]
        return [r if r and r.flow.startswith(f"{namespace}|") else None for r in runs]

    async def ends(self, run_ids: Sequence[str]) -> list[list[Any] | None]:
        """How runs ended, as the outbox tells it but with any output whole; None for one that has been deleted."""
        fields = [("HMGET", self._keys.run(run_id), "ph", "o", "cx") for run_id in run_ids]
        last = [("LINDEX", self._keys.of("failures", run=run_id), -1) for run_id in run_ids]
        replies = await self._reader.many([*fields, *last])
        runs, failures = replies[: len(run_ids)], replies[len(run_ids) :]
        return [
            [run_id.encode(), phase, output or b"", failure or b"", reason or b""] if phase else None
            for run_id, (phase, output, reason), failure in zip(run_ids, runs, failures, strict=True)
        ]

    async def bound_to(self, flow: str) -> tuple[str, bool]:
        """The worker that the runs of a flow demand, '' for none, and whether no other one will do."""
        demand = await self._reader.one("GET", self._keys.of("demand", flow=flow))
        if demand is None:
            return "", False
        _cost, _pool, worker, hard, *_labels = unpack(demand)
        return worker.decode(), bool(hard)

    async def specs(self, run_ids: Sequence[str]) -> list[bytes]:
        """The specs of runs; empty for one that has been deleted."""
        replies = await self._reader.many([("HGET", self._keys.run(run_id), "b") for run_id in run_ids])
        return [value or b"" for value in replies]

    async def latest_failures(self, run_ids: Sequence[str], most: int) -> list[list[bytes]]:
        """Of each run the latest failed attempts, oldest first, as scripts keep them."""
        keys = [self._keys.of("failures", run=run_id) for run_id in run_ids]
        return await self._reader.many([("LRANGE", key, -most, -1) for key in keys])

    async def failures(self, run_id: str) -> list[StoredFailure]:
        """The failed attempts of a run, oldest first."""
        entries = await self._reader.one("LRANGE", self._keys.of("failures", run=run_id), 0, -1)
        return [to_failure(unpack(entry)) for entry in entries]

    async def last_failures(self, run_ids: Sequence[str]) -> list[StoredFailure | None]:
        """The last failed attempt of each run, None where there is none."""
        entries = await self._reader.many([("LINDEX", self._keys.of("failures", run=run_id), -1) for run_id in run_ids])
        return [to_failure(unpack(entry)) if entry else None for entry in entries]

    async def log_lines(self, namespace: str, run_id: str, offset: int, most: int) -> Entries | None:
        """Lines from an offset on, which counts the dropped ones too; None: there is no such run.

        Returns the offset of the first, which is larger than `offset` where lines were dropped, and
        [ms, level, text, attempt, trace, span] of each.
        """
        return await self._entries("log", namespace, run_id, offset, most)

    async def chunks(self, namespace: str, run_id: str, offset: int, most: int) -> Entries | None:
        """The same of a run's stream: [whether it is text, data, attempt] of each chunk."""
        return await self._entries("stream", namespace, run_id, offset, most)

    async def _entries(self, kind: str, namespace: str, run_id: str, offset: int, most: int) -> Entries | None:
        found = await self._scripts.call("run_entries", (kind, namespace, run_id, offset, most))
        return (found[0], [unpack(entry) for entry in found[1]]) if found else None

    async def newest_first(
        self,
        namespace: str,
        after: tuple[int, str] | None,
        since_ms: int,
        until_ms: int,
        count: int,
        *,
        failed: bool = False,
    ) -> list[tuple[str, int]]:
        """Ids and accept times from `until_ms` (excluded) down to `since_ms`, after the given one.

        With `failed` only runs that ended FAILED, and the times are those of their ends.
        """
        key = self._keys.of("failed_by_time" if failed else "runs_by_time", ns=namespace)
        top: str | int = f"({until_ms}" if until_ms else "+inf"
        skip = 0
        if after is not None:
            top = after[0]
        while True:
            found = await self._reader.one(
                "ZREVRANGEBYSCORE", key, top, since_ms or "-inf",
                "WITHSCORES", "LIMIT", skip, count,
            )  # fmt: skip
            pairs = [(run.decode(), int(ms)) for run, ms in zip(*[iter(found)] * 2, strict=True)]
            if after is None:
                return pairs
            # Of one millisecond, ids come in falling order: drop those up to the token's.
            rest = [p for p in pairs if p[1] < after[0] or p[0] < after[1]]
            if rest or len(pairs) < count:
                return rest
            skip += count


_PLAIN_VERDICTS: Final[dict[bytes, Verdict]] = {b"duplicate": "duplicate", b"taken": "taken", b"no_worker": "no_worker"}


def _to_verdict(told: Any) -> Verdict:
    if isinstance(told, list):
        tag, run_id = told
        return KeyHolder(run_id.decode(), refused=tag == b"conflict")
    return _PLAIN_VERDICTS[told]


def _pairs(told: Any) -> list[tuple[Any, Any]]:
    """Lua has one empty table: an empty map arrives as an empty list."""
    return list(told.items()) if isinstance(told, dict) else []
