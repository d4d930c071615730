"""A small OTLP back end: takes spans and metrics over gRPC, and answers questions about them."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class SunkSpan:
    """A span as it came in. Ids in hexadecimal, times in nanoseconds."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    is_error: bool
    status: str
    begin: int
    end: int
    exceptions: tuple[str, ...]

    @property
    def attempt(self) -> int | None:
        """Which attempt it tells of."""
        return self.attributes.get("windlass.attempt")


class OtlpSink:
    """What has come in so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._spans: list[SunkSpan] = []
        self._metrics: set[tuple[str, str]] = set()
        self.endpoint = ""

    @property
    def spans(self) -> list[SunkSpan]:
        """All spans, in the order in which they began."""
        with self._lock:
            return sorted(self._spans, key=lambda span: span.begin)

    @property
    def metrics(self) -> set[tuple[str, str]]:
        """Service and name of all metrics."""
        with self._lock:
            return set(self._metrics)

    def trace(self, trace_id: str) -> list[SunkSpan]:
        """All spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, trace_id: str, *names: str) -> list[SunkSpan]:
        """Give the trace once these spans are in it, each as often as it is named."""

        def missing() -> list[str]:
            left = list(names)
            for span in self.trace(trace_id):
                if span.name in left:
                    left.remove(span.name)
            return left

        until(lambda: not missing(), f"the spans {names} of trace {trace_id}")
        return self.trace(trace_id)

    def take_spans(self, request: Any) -> None:
        """Keep what was exported."""
        with self._lock:
            for resource in request.resource_spans:
                service = _attributes(resource.resource.attributes)["service.name"]
                self._spans += [_read(service, s) for scope in resource.scope_spans for s in scope.spans]

    def take_metrics(self, request: Any) -> None:
        """Keep the names of what was exported."""
        with self._lock:
            for resource in request.resource_metrics:
                service = _attributes(resource.resource.attributes)["service.name"]
                self._metrics |= {(service, m.name) for scope in resource.scope_metrics for m in scope.metrics}


@contextmanager
def otlp_sink() -> Iterator[OtlpSink]:
    """Listen for the length of a block, on a free port of the loopback interface."""
    sink = OtlpSink()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        _Taking(sink.take_spans, trace_service_pb2.ExportTraceServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
        _Taking(sink.take_metrics, metrics_service_pb2.ExportMetricsServiceResponse), server
    )
    sink.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield sink
    finally:
        server.stop(0).wait()


class _Taking:
    """A service with the one call that both have."""

    def __init__(self, take: Callable[[Any], None], answer: Callable[[], Any]) -> None:
        self._take = take
        self._answer = answer

    def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as the contract has it
        self._take(request)
        return self._answer()


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _read(service: str, span: trace_pb2.Span) -> SunkSpan:
    return SunkSpan(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        status=span.status.message,
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        exceptions=tuple(
            _attributes(event.attributes)["exception.type"] for event in span.events if event.name == "exception"
        ),
    )
