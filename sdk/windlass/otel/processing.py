"""Owns the spans of attempts: one CONSUMER span each, current while the user's code executes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, Status, StatusCode, set_span_in_context
from typing_extensions import override

from windlass.otel import conventions, propagation
from windlass.otel.log_records import current_ids
from windlass.worker.attempt import Attempt
from windlass.worker.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

    from windlass.otel.spans import Spans
    from windlass.v1 import run_pb2
    from windlass.worker.outcome import FailedAttempt, Outcome


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
        with self._processing(attempt):
            await super()._run_on_loop(attempt)

    @override
    def _run(self, attempt: Attempt) -> None:
        with self._processing(attempt):
            super()._run(attempt)

    @contextmanager
    def _processing(self, attempt: Attempt) -> Iterator[None]:
        span = self._open_span(attempt)
        token = contexts.attach(set_span_in_context(span, contexts.Context()))
        try:
            yield
        finally:
            contexts.detach(token)
            if span.is_recording():  # else it was given up on, or is nobody's to see
                span.end()

    def _open_span(self, attempt: Attempt) -> Span:
        creation = propagation.read(attempt.spec)
        if creation is not None and not creation.get_span_context().trace_flags.sampled:
            return creation  # what hangs below it is not recorded either
        span = self._spans.begin(
            f"process {attempt.task.name}",
            SpanKind.CONSUMER,
            conventions.of_attempt(attempt.context),
            contexts.Context() if creation is None else set_span_in_context(creation, contexts.Context()),
            None if creation is None else [Link(creation.get_span_context())],
        )
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
