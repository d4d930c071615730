"""Owns the form in which a trace travels with a run: W3C traceparent and tracestate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from windlass.v1 import run_pb2

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")


def write(span: Span, spec: run_pb2.RunSpec) -> None:
    """Put a span's context into a spec; nothing where it has none."""
    context = span.get_span_context()
    if not context.is_valid:
        return
    spec.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    if context.trace_state:
        spec.tracestate = context.trace_state.to_header()


def read(spec: run_pb2.RunSpec) -> NonRecordingSpan | None:
    """Give what stands for the span that a run was sent in; None where it came without, or with nonsense."""
    text = spec.traceparent
    if not text or _TRACEPARENT.match(text) is None:
        return None
    trace_id, span_id, flags = int(text[3:35], 16), int(text[36:52], 16), int(text[53:55], 16)
    state = TraceState.from_header([spec.tracestate]) if spec.tracestate else None
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)
    return NonRecordingSpan(context) if context.is_valid else None
