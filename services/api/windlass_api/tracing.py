"""Owns the api's spans: `submit`, round the method that does it."""

import time
from collections.abc import Callable, Sequence

from opentelemetry.trace import SpanKind
from typing_extensions import override

from windlass.v1 import run_service_pb2
from windlass_api.api import Api
from windlass_api.submits import Outcome, Submits
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.trace import recorded
from windlass_core.metrics import Metrics
from windlass_core.pump import Hold
from windlass_core.store.shard import Shard
from windlass_core.tracing import Tracing


class TracedApi(Api):
    """An api that tells what it does to runs whose trace is recorded."""

    @override
    def _make_submits(self) -> Submits:
        tracing = self.observation.tracing
        assert tracing is not None  # noqa: S101 — this class is chosen where traces are asked for
        return TracedSubmits(tracing, self.shard, self.inc, self._definitions, self._unstored, self.observation.metrics)


class TracedSubmits(Submits):
    """Submits that tell when they have been stored: one span per trace context in a message."""

    def __init__(
        self, tracing: Tracing, shard: Shard, inc: str, definitions: DefinitionCache, hold: Hold, metrics: Metrics
    ) -> None:
        super().__init__(shard, inc, definitions, hold, metrics)
        self._tracing = tracing

    @override
    async def submit(
        self,
        namespace: str,
        submissions: Sequence[run_service_pb2.RunSubmission],
        *,
        watch: Callable[[str], None] | None = None,
    ) -> list[Outcome]:
        begin_ns = time.time_ns()
        outcomes = await super().submit(namespace, submissions, watch=watch)
        sent: dict[str, list[int]] = {}
        for place, submission in enumerate(submissions):
            if traceparent := recorded(submission.spec.traceparent):
                sent.setdefault(traceparent, []).append(place)
        for traceparent, places in sent.items():
            self._tell(traceparent, [submissions[i] for i in places], [outcomes[i] for i in places], begin_ns)
        return outcomes

    def _tell(
        self,
        traceparent: str,
        submissions: list[run_service_pb2.RunSubmission],
        outcomes: list[Outcome],
        begin_ns: int,
    ) -> None:
        refused = [outcome.error for outcome in outcomes if outcome.HasField("error")]
        one = len(outcomes) == 1
        self._tracing.span(
            "submit",
            submissions[0].spec.workflow_name,
            traceparent,
            begin_ns,
            {"messaging.message.id": outcomes[0].run_id} if one else {"messaging.batch.message_count": len(outcomes)},
            kind=SpanKind.SERVER,
            error=refused[0].message if refused else "",
        )
