"""Owns the dispatcher's spans: `deliver` and `settle`, round the methods that do it."""

import time

from opentelemetry.trace import SpanKind
from typing_extensions import override

from windlass.v1 import dispatch_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.names import flow_task
from windlass_core.judgement import Judgement
from windlass_core.metrics import Metrics
from windlass_core.pump import Hold
from windlass_core.store.shard import Shard
from windlass_core.tracing import Tracing
from windlass_dispatcher.attempt import Attempt
from windlass_dispatcher.dispatcher import Dispatcher
from windlass_dispatcher.reports import Completion, Failing, Reports
from windlass_dispatcher.stream import Stream


class TracedDispatcher(Dispatcher):
    """A dispatcher that tells what it does to runs whose trace is recorded."""

    @override
    def _make_reports(self) -> Reports:
        return TracedReports(self._tracing, self.shard, self._definitions, self._unstored, self.observation.metrics)

    @property
    def _tracing(self) -> Tracing:
        tracing = self.observation.tracing
        assert tracing is not None  # noqa: S101 — this class is chosen where traces are asked for
        return tracing

    @override
    async def prepare(self, stream: Stream, attempts: list[Attempt]) -> list[dispatch_pb2.Assignment]:
        """See stream.Effects."""
        begin_ns = time.time_ns()
        assignments = await super().prepare(stream, attempts)
        for attempt in attempts:
            if attempt.traceparent:
                attributes = {**_of(attempt), "windlass.worker.id": stream.worker_id}
                self._tracing.span("deliver", flow_task(attempt.flow), attempt.traceparent, begin_ns, attributes)
        return assignments


class TracedReports(Reports):
    """Reports that tell when they have reached the store."""

    def __init__(
        self, tracing: Tracing, shard: Shard, definitions: DefinitionCache, hold: Hold, metrics: Metrics
    ) -> None:
        super().__init__(shard, definitions, hold, metrics)
        self._tracing = tracing
        self._verdicts: dict[str, dict[str, str | int]] = {}

    @override
    async def _complete(self, items: list[Completion]) -> None:
        begin_ns = time.time_ns()
        await super()._complete(items)
        for item in items:
            self._settled(item.known, begin_ns, {"windlass.outcome": "completed"})

    @override
    async def _fail(self, items: list[Failing]) -> None:
        begin_ns = time.time_ns()
        await super()._fail(items)
        for item in items:
            self._settled(item.effect.attempt, begin_ns, self._verdicts.pop(item.effect.lease_id, {}))

    @override
    async def _judged(self, item: Failing) -> Judgement:
        judged = await super()._judged(item)
        known = item.effect.attempt
        if known is not None and known.traceparent:
            told: dict[str, str | int] = {
                "windlass.outcome": judged.verdict,
                "windlass.retry_delay_ms": judged.delay_ms,
            }
            self._verdicts[item.effect.lease_id] = told
        return judged

    def _settled(self, attempt: Attempt | None, begin_ns: int, attributes: dict[str, str | int]) -> None:
        if attempt is not None and attempt.traceparent:
            self._tracing.span(
                "settle",
                flow_task(attempt.flow),
                attempt.traceparent,
                begin_ns,
                {"messaging.operation.type": "settle", **_of(attempt), **attributes},
                kind=SpanKind.SERVER,
            )


def _of(attempt: Attempt) -> dict[str, str | int]:
    return {"messaging.message.id": attempt.run_id, "windlass.attempt": attempt.number}
