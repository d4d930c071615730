"""Owns the spans of what is submitted: PRODUCER spans that end when the engine has it.

A single run is sent in a span of its own; a bulk in one span, whose context all of its runs carry;
what `app.batch()` gathers has a `create` span each, since it is sent later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode
from typing_extensions import override

from windlass.calling import Caller
from windlass.exceptions import WindlassError
from windlass.otel import conventions, propagation
from windlass.transport.call import Pending

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from windlass.calling import Request
    from windlass.otel.spans import Spans
    from windlass.transport.call import Answer, Call, Wakeups
    from windlass.v1 import run_service_pb2


class TracedCaller(Caller):
    """A caller that says what it sends."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Spans, *arguments: Any) -> None:
        """Take a Caller's arguments after what begins spans."""
        super().__init__(*arguments)
        self._spans = spans

    @override
    def with_request(self, request: Request) -> Caller:
        """See Caller."""
        return TracedCaller(self._spans, self._session, self._name, self._definition, self._decode, request)

    @override
    def _send(self, submissions: list[run_service_pb2.RunSubmission], call: Call, *, result: bool) -> list[Pending]:
        span = self._start("send", submissions)
        propagation.write(span, [submission.spec for submission in submissions])
        if not span.is_recording():
            return super()._send(submissions, call, result=result)
        sending = _Sending(span, len(submissions))
        items: list[Pending] = [
            _Sent(sending, each.run_id, call, index, submission=each, definition=self._definition, wants_result=result)
            for index, each in enumerate(submissions)
        ]
        self._session.submit(items)
        return items

    @override
    def _gathered(self, payload: bytes) -> run_service_pb2.RunSubmission:
        submission = super()._gathered(payload)
        span = self._start("create", [submission])
        propagation.write(span, [submission.spec])
        span.end()
        return submission

    def _start(self, operation: str, submissions: list[run_service_pb2.RunSubmission]) -> Span:
        if not submissions:
            return INVALID_SPAN
        attributes = conventions.of_sending(operation, self._name)
        # A tracer that isn't told looks the current context up time and again.
        span = self._spans.begin(f"{operation} {self._name}", SpanKind.PRODUCER, attributes, contexts.get_current())
        if span.is_recording():
            span.set_attributes(conventions.of_submissions(submissions))
        return span


class _Sending:
    """The span of a submit, until the engine has said something to each of its runs."""

    __slots__ = ("_left", "_span")

    def __init__(self, span: Span, count: int) -> None:
        """Wait for `count` answers."""
        self._span = span
        self._left = count

    def done(self, error: WindlassError | None) -> None:
        """One of the runs has been accepted, or refused. On the I/O thread."""
        if error is not None:
            self._span.set_attribute(conventions.ERROR_TYPE, type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self._left -= 1
        if self._left == 0:
            self._span.end()


class _Sent(Pending):
    """A run that is being sent in a span."""

    __slots__ = ("_sending",)

    def __init__(self, sending: _Sending, *arguments: Any, **named: Any) -> None:
        """Take a Pending's arguments after the span."""
        super().__init__(*arguments, **named)
        self._sending: _Sending | None = sending

    @override
    def accept(self) -> None:
        """See Pending."""
        super().accept()
        self._tell(None)

    @override
    def answer(self, value: Answer, wakeups: Wakeups) -> None:
        """See Pending."""
        super().answer(value, wakeups)
        self._tell(value if isinstance(value, WindlassError) else None)

    def _tell(self, error: WindlassError | None) -> None:
        """The first answer counts: what becomes of a run that was accepted is its attempts' to tell."""
        if self._sending is not None:
            self._sending.done(error)
            self._sending = None
