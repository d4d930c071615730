"""Owns the spans of attempts: one CONSUMER span each, current while the user's code executes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, Status, StatusCode, set_span_in_context
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
    """An attempt with its span."""

    __slots__ = ("span",)

    def __init__(self, *arguments: Any) -> None:
        """Take an Attempt's arguments; the span comes when it begins to execute."""
        super().__init__(*arguments)
        self.span: Span = INVALID_SPAN

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

    @override
    async def _run_on_loop(self, attempt: Attempt) -> None:
        span = self._attach(attempt)
        try:
            await super()._run_on_loop(attempt)
        finally:
            _end(span)

    @override
    def _run(self, attempt: Attempt) -> None:
        span = self._attach(attempt)
        try:
            super()._run(attempt)
        finally:
            _end(span)

    def _attach(self, attempt: Attempt) -> Span:
        """Make a span current for good: an attempt has context variables of its own."""
        creation = propagation.read(attempt.spec)
        if creation is not None and not creation.get_span_context().trace_flags.sampled:
            contexts.attach(set_span_in_context(creation, _NOTHING))
            return creation  # what hangs below it is not recorded either
        span = self._spans.begin(
            f"process {attempt.task.name}",
            SpanKind.CONSUMER,
            conventions.of_attempt(attempt.context),
            _NOTHING if creation is None else set_span_in_context(creation, _NOTHING),
            None if creation is None else [Link(creation.get_span_context())],
        )
        contexts.attach(set_span_in_context(span, _NOTHING))
        if isinstance(attempt, TracedAttempt):
            attempt.span = span
        return span

    @override
    def _raised(self, attempt: Attempt, error: BaseException) -> Outcome | None:
        if not isinstance(attempt, TracedAttempt) or not attempt.span.is_recording():
            return super()._raised(attempt, error)
        attempt.span.record_exception(error)
        outcome = super()._raised(attempt, error)
        if outcome is None:
            attempt.span.set_status(Status(StatusCode.ERROR, "its lease was lost: what it did does not count"))
        return outcome

    @override
    def _failed(self, attempt: Attempt, failure: run_pb2.Failure) -> FailedAttempt:
        if isinstance(attempt, TracedAttempt) and attempt.span.is_recording():
            attempt.span.set_attribute(conventions.ERROR_TYPE, failure.type)
            attempt.span.set_status(Status(StatusCode.ERROR, failure.message))
            attempt.span.end()  # a thread that is stuck for good would never get to it
        return super()._failed(attempt, failure)


def _end(span: Span) -> None:
    if span.is_recording():  # else it was given up on, or is nobody's to see
        span.end()
