"""Owns that the standard library's log records name the trace that they belong to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Callable


class _Correlating:
    """A log record factory that adds `trace_id` and `span_id`, empty outside of a span."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        """Add to what `make` makes."""
        self._make = make

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        """Make a record."""
        record = self._make(*arguments, **named)
        record.trace_id, record.span_id = current_ids()
        return record


def current_ids() -> tuple[str, str]:
    """Give the ids of the span that is current here, as OTLP's JSON has them; empty where none is."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return "", ""
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def correlate_log_records() -> None:
    """Have all log records of this process name their span. Once is enough, twice no harm."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Correlating):
        logging.setLogRecordFactory(_Correlating(make))
