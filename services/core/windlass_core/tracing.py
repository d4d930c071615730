"""Owns the engine's own spans: what it says of runs whose trace is recorded, and where it says it.

Nothing but `start_tracing` imports this module, and nothing of OpenTelemetry's traces is loaded
where they are off. A span hangs below the one that the run was sent in, whose context came with it.
"""

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from windlass_core.domain.names import flow_queue, flow_task

_MS = 1_000_000


class Tracing:
    """The spans of one process."""

    def __init__(self, service: str, incarnation: str) -> None:
        self._service = f"windlass-{service}"
        resource = Resource.create({"service.name": self._service, "service.instance.id": incarnation})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("windlass.engine")

    def span(
        self,
        operation: str,
        workflow: str,
        traceparent: str,
        begin_ns: int,
        attributes: Mapping[str, Any],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        end_ns: int | None = None,
        error: str = "",
    ) -> None:
        """Tells of something that is over. Times in nanoseconds since 1970 UTC."""
        span = self._tracer.start_span(
            f"{operation} {workflow}",
            context=_parent(traceparent),
            kind=kind,
            start_time=begin_ns,
            attributes={
                # Its resource says so too, which not every back end shows.
                "windlass.service": self._service,
                "messaging.system": "windlass",
                "messaging.destination.name": workflow,
                "messaging.operation.name": operation,
                **attributes,
            },
        )
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_ns or time.time_ns())

    def tell(self, notes: list[list[Any]]) -> None:
        """Spans of what a script noted: the process that had it done is the one that says so."""
        for what, run, traceparent, flow, attempt, since_ms, until_ms in notes:
            flow_name = flow.decode()
            operation = what.decode()
            self.span(
                operation,
                flow_task(flow_name),
                traceparent.decode(),
                since_ms * _MS,
                {
                    "messaging.message.id": run.decode(),
                    "windlass.queue": flow_queue(flow_name),
                    "windlass.attempt": attempt,
                },
                end_ns=until_ms * _MS,
                error="the attempt was lost with its worker" if operation == "lost" else "",
            )

    def stop(self) -> None:
        """Sends what is left. Blocks."""
        self._provider.shutdown()


def _parent(traceparent: str) -> Context:
    """The context of a traceparent that the api has checked."""
    _version, trace_id, span_id, flags = traceparent.split("-")[:4]
    parent = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(parent), Context())
