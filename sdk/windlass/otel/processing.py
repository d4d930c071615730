"""Owns the spans of attempts: one CONSUMER span each, current while the user's code executes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context
from typing_extensions import override

from windlass.otel import conventions, propagation
from windlass.otel.log_records import current_ids
from windlass.worker.attempt import Attempt
from windlass.worker.runner import Runner

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from windlass.otel.spans import Spans
    from windlass.v1 import run_pb2
    from windlass.worker.outcome import FailedAttempt, Outcome


_NOTHING: Final = contexts.Context()


class TracedAttempt(Attempt):
    """An attempt whose lines name their spans."""

    __slots__ = ()

    @override
    def line(self, level: str, message: str) -> run_pb2.LogLine:
        """See Attempt; the line names the span that is current where it is logged."""
        line = super().line(level, message)
        line.trace_id, line.span_id = current_ids()
        return line


class TracedRunner(Runner):
    """A runner that says what it executes. The run's own context is parent and link of each attempt."""

    attempt_type = TracedAttempt

    def __init__(self, spans: Spans, *arguments: Any) -> None:
        """Take a Runner's arguments after what begins spans."""
        super().__init__(*arguments)
        self._spans = spans
        # By lease: those that somebody records.
        self._open: dict[str, Span] = {}
        # What nobody records: the runs of a bulk have one context, and mostly come one after another.
        self._latest = propagation.SentIn("", ""), _NOTHING

    @override
    def _begin(self, attempt: Attempt) -> None:
        if not attempt.task.is_async:  # its thread has context variables of its own
            super()._begin(attempt)
            return
        token = contexts.attach(self._context_of(attempt))
        try:
            super()._begin(attempt)
        finally:
            contexts.detach(token)

    @override
    def _run(self, attempt: Attempt) -> None:
        contexts.attach(self._context_of(attempt))
        super()._run(attempt)

    def _context_of(self, attempt: Attempt) -> contexts.Context:
        """Begin the span of an attempt; give the context that its code sees."""
        latest, context = self._latest
        if latest.is_of(attempt.spec):
            return context
        sent_in = propagation.read(attempt.spec)
        if sent_in is not None and not sent_in.is_sampled:
            context = set_span_in_context(sent_in, _NOTHING)  # what hangs below it is not recorded either
            self._latest = sent_in, context
            return context
        span = self._spans.begin(
            f"process {attempt.task.name}",
            SpanKind.CONSUMER,
            conventions.of_attempt(attempt.context),
            _NOTHING if sent_in is None else set_span_in_context(sent_in, _NOTHING),
            None if sent_in is None else [Link(sent_in.get_span_context())],
        )
        if span.is_recording():
            self._open[attempt.lease_id] = span
        return set_span_in_context(span, _NOTHING)

    @override
    def _returned(self, attempt: Attempt, output: bytes) -> Outcome | None:
        outcome = super()._returned(attempt, output)
        if self._open:
            self._end(attempt)
        return outcome

    @override
    def _raised(self, attempt: Attempt, error: BaseException) -> Outcome | None:
        span = self._open.get(attempt.lease_id)
        if span is None:
            return super()._raised(attempt, error)
        span.record_exception(error)
        outcome = super()._raised(attempt, error)
        if outcome is None:
            span.set_status(Status(StatusCode.ERROR, "its lease was lost: what it did does not count"))
            self._end(attempt)
        return outcome

    @override
    def _failed(self, attempt: Attempt, failure: run_pb2.Failure) -> FailedAttempt:
        if (span := self._open.get(attempt.lease_id)) is not None:
            span.set_attribute(conventions.ERROR_TYPE, failure.type)
            span.set_status(Status(StatusCode.ERROR, failure.message))
            self._end(attempt)  # a thread that is stuck for good would never get to it
        return super()._failed(attempt, failure)

    def _end(self, attempt: Attempt) -> None:
        if (span := self._open.pop(attempt.lease_id, None)) is not None:
            span.end()
