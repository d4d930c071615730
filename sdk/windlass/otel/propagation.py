"""Owns the form in which a trace travels with a run: W3C traceparent and tracestate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, TraceFlags, TraceState
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import Span

    from windlass.v1 import run_pb2

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")
# The last digit of the flags: it is even where the trace is not recorded.
_LAST_FLAG: Final = slice(54, 55)
_NOT_SAMPLED: Final = "02468ace"


class SentIn(NonRecordingSpan):
    """Stands for the span that a run was sent in; what it says of itself is read when somebody asks."""

    def __init__(self, traceparent: str, tracestate: str) -> None:
        """Take them as they came, checked."""
        super().__init__(INVALID_SPAN_CONTEXT)
        self._text = traceparent
        self._state = tracestate

    @property
    def is_sampled(self) -> bool:
        """Whether its trace is recorded."""
        return self._text[_LAST_FLAG] not in _NOT_SAMPLED

    def is_of(self, spec: run_pb2.RunSpec) -> bool:
        """Whether that run was sent in it. Nothing is sent in one that has no text."""
        return self._text == spec.traceparent != "" and self._state == spec.tracestate

    @override
    def get_span_context(self) -> SpanContext:
        """See Span."""
        if self._context is INVALID_SPAN_CONTEXT:
            text = self._text
            self._context = SpanContext(
                int(text[3:35], 16),
                int(text[36:52], 16),
                is_remote=True,
                trace_flags=TraceFlags(int(text[53:55], 16)),
                trace_state=TraceState.from_header([self._state]) if self._state else None,
            )
        return self._context


def write(span: Span, specs: Iterable[run_pb2.RunSpec]) -> None:
    """Put a span's context into specs; nothing where it has none."""
    context = span.get_span_context()
    if not context.is_valid:
        return
    traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    tracestate = context.trace_state.to_header() if context.trace_state else ""
    for spec in specs:
        spec.traceparent = traceparent
        if tracestate:
            spec.tracestate = tracestate


def read(spec: run_pb2.RunSpec) -> SentIn | None:
    """Give what stands for the span that a run was sent in; None where it came without, or with nonsense."""
    text = spec.traceparent
    if not text or _TRACEPARENT.match(text) is None:
        return None
    return SentIn(text, spec.tracestate)
