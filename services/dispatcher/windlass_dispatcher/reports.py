"""Owns what workers report on its way to the store: gathered over all streams, acknowledged after."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from windlass.v1 import dispatch_pb2, run_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.names import flow_task
from windlass_core.judgement import Judgement, judge, terms_of
from windlass_core.metrics import Ending, Metrics
from windlass_core.pump import Hold, Pump
from windlass_core.store.runs import Completed, FailureVerdict, Reported
from windlass_core.store.scripts import pack
from windlass_core.store.shard import Shard
from windlass_dispatcher.attempt import Attempt
from windlass_dispatcher.session import (
    Accept,
    Complete,
    Fail,
    KeepChunks,
    KeepLogs,
    KeepProgress,
    Refresh,
    ReleaseSlots,
)
from windlass_dispatcher.stream import Stream

_log = structlog.get_logger(__name__)

# Log lines of so many attempts wait while the store is away, and so often progress; what is said further is dropped.
MAX_WORDS_WAITING = 5_000

# What an item takes up besides what its worker has sent of it.
_OVERHEAD_BYTES = 500

_OUTCOMES: dict[Reported, "dispatch_pb2.ReportOutcome.ValueType"] = {
    "recorded": dispatch_pb2.REPORT_OUTCOME_RECORDED,
    "spent": dispatch_pb2.REPORT_OUTCOME_RECORDED,
    "duplicate": dispatch_pb2.REPORT_OUTCOME_DUPLICATE,
    "lease_lost": dispatch_pb2.REPORT_OUTCOME_LEASE_LOST,
}

_RECORDED = ("recorded", "spent")
_ENDINGS: dict[FailureVerdict, Ending] = {
    "retry": "retried",
    "dead": "failed",
    "release": "released",
    "crash": "crashed",
    "among": "released",
}


@dataclass(frozen=True, slots=True)
class Completion:
    """An attempt that its worker reported as completed."""

    stream: Stream
    attempt: tuple[str, str, bytes]
    known: Attempt | None


@dataclass(frozen=True, slots=True)
class Failing:
    """An attempt that its worker reported as failed, or handed back."""

    stream: Stream
    effect: Fail


@dataclass(frozen=True, slots=True)
class Streamed:
    """Chunks that an attempt put into its run's stream."""

    stream: Stream
    chunks: dispatch_pb2.TaskChunks


class Reports:
    """The pumps between streams and store."""

    def __init__(self, shard: Shard, definitions: DefinitionCache, hold: Hold, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._shard = shard
        self._definitions = definitions
        self._accepted: Pump[tuple[str, str]] = Pump("accept", self._accept)
        self._refreshed: Pump[tuple[str, str, int]] = Pump(
            "refresh", self._refresh, size=lambda _: _OVERHEAD_BYTES, hold=hold
        )
        self._slots: Pump[tuple[str, str]] = Pump(
            "release slots", self._release_slots, size=lambda _: _OVERHEAD_BYTES, hold=hold
        )
        self._completed: Pump[Completion] = Pump("complete", self._complete, size=_completion_bytes, hold=hold)
        self._failed: Pump[Failing] = Pump("fail", self._fail, most=200, size=_failing_bytes, hold=hold)
        self._logs: Pump[dispatch_pb2.TaskLog] = Pump("log", self._keep_logs, most=200, size=_words_bytes, hold=hold)
        self._progress: Pump[dispatch_pb2.TaskProgress] = Pump(
            "progress", self._keep_progress, most=200, size=_words_bytes, hold=hold
        )
        self._chunks: Pump[Streamed] = Pump(
            "stream", self._keep_chunks, most=200, size=lambda item: _words_bytes(item.chunks), hold=hold
        )
        self._pumps: tuple[Pump[Any], ...] = (
            self._accepted,
            self._refreshed,
            self._slots,
            self._completed,
            self._failed,
            self._logs,
            self._progress,
            self._chunks,
        )
        # Leases with lines, chunks or progress on their way: whoever sees an attempt's end finds all that it said.
        self._talking: Counter[str] = Counter()
        self._dropped_lines = 0

    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs until the service stops."""
        return [pump.run for pump in self._pumps]

    def take(
        self,
        stream: Stream,
        effect: Accept | Refresh | ReleaseSlots | Complete | Fail | KeepLogs | KeepProgress | KeepChunks,
    ) -> None:
        """Puts a report on its way."""
        match effect:
            case Accept(attempts):
                self._accepted.put_all(attempts)
            case Refresh(attempts):
                self._refreshed.put_all(attempts)
            case ReleaseSlots(attempts):
                self._slots.put_all(attempts)
            case Complete(attempts, known):
                self._completed.put_all([Completion(stream, *each) for each in zip(attempts, known, strict=True)])
            case Fail():
                self._failed.put(Failing(stream, effect))
            case KeepLogs(logs):
                if len(self._logs) < MAX_WORDS_WAITING:
                    self._logs.put_all(logs)
                    self._talking.update(log.lease_id for log in logs)
                else:
                    self._drop(logs, "the store is away, or too slow")
            case KeepProgress(progresses):
                if len(self._progress) < MAX_WORDS_WAITING:
                    self._progress.put_all(progresses)
                    self._talking.update(each.lease_id for each in progresses)
            case KeepChunks(chunks):
                # As many as the worker has room for: it keeps them until they are acknowledged.
                self._chunks.put_all([Streamed(stream, each) for each in chunks])
                self._talking.update(each.lease_id for each in chunks)

    async def drained(self) -> None:
        """Returns once all that was taken has reached the store."""
        for pump in self._pumps:
            await pump.drained()

    async def _accept(self, attempts: list[tuple[str, str]]) -> None:
        await self._shard.runs.accept(attempts)

    async def _refresh(self, attempts: list[tuple[str, str, int]]) -> None:
        await self._shard.runs.refresh(attempts)

    async def _release_slots(self, attempts: list[tuple[str, str]]) -> None:
        await self._shard.runs.release_slots(attempts)

    async def _complete(self, items: list[Completion]) -> None:
        await self._after_words([item.attempt[1] for item in items])
        names = await self._output_names(items)
        verdicts = await self._shard.runs.complete([_completed(*each) for each in zip(items, names, strict=True)])
        for item, verdict in zip(items, verdicts, strict=True):
            ack = dispatch_pb2.Ack(lease_id=item.attempt[1], outcome=_OUTCOMES[verdict])
            item.stream.acknowledge(ack)
        self._metrics.attempts_ended(
            (item.known, "completed") for item, verdict in zip(items, verdicts, strict=True) if verdict == "recorded"
        )

    async def _output_names(self, items: list[Completion]) -> list[str]:
        """The name under which each run's output has the task's; empty where it is the task's."""
        strangers = [item for item in items if item.known is None]
        found = iter(await asyncio.gather(*map(self._output_name, strangers)) if strangers else ())
        return [item.known.output_name if item.known is not None else next(found) for item in items]

    async def _output_name(self, item: Completion) -> str:
        """Of an attempt that another dispatcher delivered."""
        namespace = item.stream.namespace
        (run,) = await self._shard.runs.get(namespace, [item.attempt[0]])
        if run is None:
            return ""
        definition = await self._definitions.version(namespace, flow_task(run.flow), run.version)
        return definition.output_name(run_pb2.RunSpec.FromString(run.spec)) if definition is not None else ""

    async def _fail(self, items: list[Failing]) -> None:
        await self._after_words([item.effect.lease_id for item in items])
        judgements = await asyncio.gather(*(self._judged(item) for item in items))
        for item in items:
            item.effect.failure.ClearField("base_types")  # they have served
        verdicts = await self._shard.runs.fail(
            [
                judged.of(item.effect.run_id, item.effect.lease_id, item.effect.failure.SerializeToString())
                for item, judged in zip(items, judgements, strict=True)
            ]
        )
        for item, verdict in zip(items, verdicts, strict=True):
            outcome = _OUTCOMES[verdict]
            if item.effect.rejected and verdict in _RECORDED:
                outcome = dispatch_pb2.REPORT_OUTCOME_REJECTED
            item.stream.acknowledge(dispatch_pb2.Ack(lease_id=item.effect.lease_id, outcome=outcome))
        self._metrics.attempts_ended(
            (item.effect.attempt, "failed" if verdict == "spent" else _ENDINGS[judged.verdict])
            for item, judged, verdict in zip(items, judgements, verdicts, strict=True)
            if verdict in _RECORDED
        )

    async def _judged(self, item: Failing) -> Judgement:
        effect = item.effect
        if effect.verdict is not None:
            return Judgement(effect.verdict)
        return await self._judge(item.stream.namespace, effect)

    async def _judge(self, namespace: str, effect: Fail) -> Judgement:
        known = effect.attempt
        if known is not None and known.spec is not None:
            flow, version, number, spec = known.flow, known.version, known.number, known.spec
        else:
            run = (await self._shard.runs.get(namespace, [effect.run_id]))[0]
            if run is None:
                return Judgement("dead")
            flow, version, number, spec = run.flow, run.version, run.attempt, run.spec
        terms = await terms_of(self._definitions, namespace, flow, version, run_pb2.RunSpec.FromString(spec))
        return judge(terms, number, effect.failure)

    async def _keep_logs(self, logs: list[dispatch_pb2.TaskLog]) -> None:
        lines = [
            (
                log.run_id,
                log.lease_id,
                [pack((x.logged_at_ms, x.level, x.message, x.attempt, x.trace_id, x.span_id)) for x in log.lines],
            )
            for log in logs
        ]
        try:
            await self._shard.runs.log(lines)
        except StoreFull as error:
            # The outcomes of attempts are what makes room again; their lines are not waited for.
            self._drop(logs, str(error))
        else:
            self._dropped_lines = 0
        self._talking -= Counter(log.lease_id for log in logs)

    async def _keep_progress(self, progresses: list[dispatch_pb2.TaskProgress]) -> None:
        with suppress(StoreFull):  # as with lines
            await self._shard.runs.progress(
                [(x.run_id, x.lease_id, x.progress.SerializeToString()) for x in progresses]
            )
        self._talking -= Counter(each.lease_id for each in progresses)

    async def _keep_chunks(self, items: list[Streamed]) -> None:
        told = [
            (x.run_id, x.lease_id, [pack(_to_entry(chunk)) for chunk in x.chunks], x.first)
            for x in (item.chunks for item in items)
        ]
        kept: Sequence[int | None]
        try:
            kept = await self._shard.runs.put_chunks(told)
        except StoreFull as error:
            # What the outcomes of attempts make room for is not waited for: the tasks are told.
            _log.warning("streams are being cut off", reason=str(error), attempts=len(items))
            kept = [-1] * len(items)
        for item, taken in zip(items, kept, strict=True):
            x = item.chunks
            refused = taken is not None and taken < x.first + len(x.chunks)
            ack = dispatch_pb2.ChunksAck(lease_id=x.lease_id, next=x.first + len(x.chunks), refused=refused)
            item.stream.acknowledge_chunks(ack)
        self._talking -= Counter(item.chunks.lease_id for item in items)

    async def _after_words(self, leases: list[str]) -> None:
        if self._talking and not self._talking.keys().isdisjoint(leases):
            await self._logs.drained()
            await self._progress.drained()
            await self._chunks.drained()

    def _drop(self, logs: list[dispatch_pb2.TaskLog], why: str) -> None:
        if not self._dropped_lines:
            _log.warning("log lines are being dropped", reason=why)
        self._dropped_lines += sum(len(log.lines) for log in logs)


def _completed(item: Completion, output_name: str) -> Completed:
    """As the store takes it: with the run's output, and with the budget that a first attempt adds to."""
    run_id, lease_id, output = item.attempt
    if output_name:
        output = b'{"%b":%b}' % (output_name.encode(), output)
    if item.known is None or item.known.budget is None:
        return run_id, lease_id, output
    return run_id, lease_id, output, item.known.budget


def _completion_bytes(item: Completion) -> int:
    return len(item.attempt[2]) + _OVERHEAD_BYTES


def _failing_bytes(item: Failing) -> int:
    return item.effect.failure.ByteSize() + _OVERHEAD_BYTES


def _to_entry(chunk: run_pb2.StreamChunk) -> tuple[bool, str | bytes, int]:
    is_text = chunk.HasField("text")
    return is_text, chunk.text if is_text else chunk.binary, chunk.attempt


def _words_bytes(words: dispatch_pb2.TaskLog | dispatch_pb2.TaskProgress | dispatch_pb2.TaskChunks) -> int:
    return words.ByteSize() + _OVERHEAD_BYTES
