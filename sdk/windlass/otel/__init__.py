"""Traces of what an app sends and of what its workers execute, by OpenTelemetry's conventions.

    from windlass import Windlass, otel

    app = Windlass()
    otel.instrument(app)

Needs `pip install "windlass[otel]"`. `windlass worker` does this by itself where the environment
names an OTLP endpoint. Nothing of OpenTelemetry is imported by anything but this package.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from windlass.instrumentation import is_wanted
from windlass.otel.log_records import correlate_log_records
from windlass.otel.processing import TracedRunner
from windlass.otel.sending import TracedCaller
from windlass.otel.spans import Spans

if TYPE_CHECKING:
    from windlass.client import Windlass

__all__ = ["instrument"]


def instrument(app: Windlass, tracer_provider: trace.TracerProvider | None = None) -> None:
    """Trace an app from now on: its submits as `send NAME`, its workers' attempts as `process NAME`.

    Without `tracer_provider` the program's own is used. Where it has none, and the environment names
    an OTLP endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`), one is made that exports there by gRPC; its
    service is `OTEL_SERVICE_NAME`, its sampler `OTEL_TRACES_SAMPLER`. Log records made while an
    attempt executes carry `trace_id` and `span_id`. Call it before the app is used.
    """
    app.instrumented_by(_Traces(tracer_provider))
    correlate_log_records()


class _Traces:
    """See windlass.instrumentation.Instrumentation."""

    def __init__(self, provider: trace.TracerProvider | None) -> None:
        """Have spans made by this provider, else by the program's."""
        self._provider = provider

    @cached_property
    def _spans(self) -> Spans:
        """Made at the first use, which is in the process that uses it: an exporter does not survive a fork."""
        return Spans(self._provider or _provider_of_the_program())

    def caller(self, *arguments: Any) -> TracedCaller:
        """Make a caller that traces."""
        return TracedCaller(self._spans, *arguments)

    def runner(self, *arguments: Any) -> TracedRunner:
        """Make a runner that traces."""
        return TracedRunner(self._spans, *arguments)


def _provider_of_the_program() -> trace.TracerProvider:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider) and is_wanted(os.environ):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        made = TracerProvider()
        made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(made)
        return made
    return provider
