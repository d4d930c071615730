"""One connected trace: from the client through the three services to the worker and its children."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from windlass import Context, RetryPolicy, Windlass, otel
from windlass.exceptions import TaskRunError

if TYPE_CHECKING:
    from tests.support.otlp_sink import OtlpSink, SunkSpan
    from tests.tracing.conftest import MakingProvider, Serving
    from windlass.testing import Engine


def _one(spans: list[SunkSpan], name: str, attempt: int | None = None) -> SunkSpan:
    (found,) = [span for span in spans if span.name == name and attempt in (None, span.attempt)]
    return found


def _sent(sink: OtlpSink, run_id: str) -> SunkSpan:
    """The span that a run was sent in."""
    (found,) = [
        span for span in sink.spans if span.kind == "PRODUCER" and span.attributes["messaging.message.id"] == run_id
    ]
    return found


async def _trace_of(sink: OtlpSink, provider: MakingProvider, run: object) -> str:
    """Run something inside a span of its own, and give the trace."""
    with provider("caller").get_tracer("test").start_as_current_span("caller") as span:
        await run  # type: ignore[misc]
    return f"{span.get_span_context().trace_id:032x}"


async def test_a_run_is_one_trace_through_all_services(
    app: Windlass, client: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """Every span hangs below the one that the run was sent in; that one below the caller's own."""

    @app.task(name="greet")
    async def greet(name: str) -> str:
        with trace.get_tracer("user", tracer_provider=provider_of("worker")).start_as_current_span("look up"):
            return f"hello {name}"

    async with serving(app):
        trace_id = await _trace_of(sink, provider_of, client.aio_enqueue("greet", {"name": "x"}, wait_for_result=True))
        spans = await asyncio.to_thread(
            sink.wait_for, trace_id,
            "caller", "send greet", "submit greet", "queue greet", "deliver greet", "process greet", "look up",
            "settle greet",
        )  # fmt: skip
    assert len(spans) == 8
    send, process = _one(spans, "send greet"), _one(spans, "process greet")
    assert send.parent_id == _one(spans, "caller").span_id
    assert (send.service, send.kind, send.is_error) == ("client", "PRODUCER", False)
    assert (process.service, process.kind, process.attempt) == ("worker", "CONSUMER", 1)
    assert process.parent_id == send.span_id
    assert process.links == (send.span_id,)
    assert _one(spans, "look up").parent_id == process.span_id
    services = {"submit": "api", "queue": "api", "deliver": "dispatcher", "settle": "dispatcher"}
    for operation, service in services.items():
        span = _one(spans, f"{operation} greet")
        assert (span.service, span.parent_id) == (f"windlass-{service}", send.span_id)
    assert send.attributes["messaging.message.id"] == process.attributes["messaging.message.id"]
    for span in spans:
        if span.name.endswith(" greet"):
            assert span.attributes["messaging.system"] == "windlass"
            assert span.attributes["windlass.service"] == span.service
            assert span.attributes["messaging.destination.name"] == "greet"
            assert span.attributes["messaging.operation.name"] == span.name.split()[0]
            assert span.begin <= span.end
    assert send.begin <= _one(spans, "submit greet").begin


async def test_what_had_to_wait_is_queued_until_the_scheduler_or_a_dispatcher_gives_it_out(
    app: Windlass, client: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """Whoever matched it says so: here nobody was free, and then a worker came."""

    @app.task(name="late")
    async def late() -> None:
        pass

    await client.workflows.aio_list()
    await app.tasks["late"].aio_delay()  # type: ignore[attr-defined] # registers it, and waits for a worker
    trace_id = await _trace_of(sink, provider_of, client.aio_enqueue("late", {}))
    async with serving(app, 1):
        spans = await asyncio.to_thread(sink.wait_for, trace_id, "queue late", "process late")
    queue = _one(spans, "queue late")
    assert queue.service in ("windlass-scheduler", "windlass-dispatcher")
    assert queue.begin // 10**6 <= _one(spans, "process late").begin // 10**6


async def test_each_attempt_has_a_span_and_the_scheduler_the_time_between(
    app: Windlass, client: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """With its number, and its error where it failed."""

    @app.task(name="flaky", retry=RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False))
    def flaky(ctx: Context) -> int:
        if ctx.attempt_number == 1:
            raise ValueError("not yet")
        return ctx.attempt_number

    async with serving(app):
        trace_id = await _trace_of(sink, provider_of, client.aio_enqueue("flaky", {}, wait_for_result=True))
        spans = await asyncio.to_thread(
            sink.wait_for, trace_id, *["process flaky", "deliver flaky", "settle flaky", "queue flaky"] * 2,
            "backoff flaky",
        )  # fmt: skip
    send = _one(spans, "send flaky")
    first, second = _one(spans, "process flaky", 1), _one(spans, "process flaky", 2)
    assert (first.is_error, first.status, first.exceptions) == (True, "not yet", ("ValueError",))
    assert first.attributes["error.type"] == "ValueError"
    assert (second.is_error, second.exceptions) == (False, ())
    assert {first.parent_id, second.parent_id} == {send.span_id}
    assert _one(spans, "settle flaky", 1).attributes["windlass.outcome"] == "retry"
    assert _one(spans, "settle flaky", 2).attributes["windlass.outcome"] == "completed"
    backoff, queue = _one(spans, "backoff flaky"), _one(spans, "queue flaky", 2)
    assert (backoff.service, queue.service) == ("windlass-scheduler", "windlass-scheduler")
    assert first.end // 10**6 <= backoff.end // 10**6 <= second.begin // 10**6 + 1


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_children_hang_below_the_attempt_that_submitted_them(
    app: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider, how: str
) -> None:
    """In tasks on the loop, and on threads."""
    name = f"parent-{how}"

    @app.task(name=f"child-{how}")
    def child(n: int) -> int:
        return n

    if how == "async":

        @app.task(name=name)
        async def parent() -> int:
            return sum(await asyncio.gather(*(child.aio_run(n) for n in range(3))))
    else:

        @app.task(name=name)
        def parent() -> int:
            return sum(child.run_many([child.create_bulk_run_item(n) for n in range(3)]))

    async with serving(app):
        trace_id = await _trace_of(sink, provider_of, app.aio_enqueue(name, {}, wait_for_result=True))
        sends = 3 if how == "async" else 1
        spans = await asyncio.to_thread(
            sink.wait_for, trace_id, *[f"process child-{how}"] * 3, *[f"send child-{how}"] * sends, f"process {name}"
        )
    attempt = _one(spans, f"process {name}")
    sent = [span for span in spans if span.name == f"send child-{how}"]
    assert {span.parent_id for span in sent} == {attempt.span_id}
    assert len(sent) == sends
    children = [span for span in spans if span.name == f"process child-{how}"]
    assert len(children) == 3
    assert {span.parent_id for span in children} == {span.span_id for span in sent}
    if how == "sync":
        assert sent[0].attributes["messaging.batch.message_count"] == 3


async def test_a_refused_submit_says_why(client: Windlass, sink: OtlpSink, provider_of: MakingProvider) -> None:
    """The span ends when the engine has answered, with its error."""

    async def submit() -> None:
        with pytest.raises(LookupError):
            await client.aio_enqueue("nobody-knows", {})

    trace_id = await _trace_of(sink, provider_of, submit())
    spans = await asyncio.to_thread(sink.wait_for, trace_id, "send nobody-knows")
    send = _one(spans, "send nobody-knows")
    assert send.is_error
    assert send.attributes["error.type"] == "UnknownTask"


async def test_a_stuck_thread_does_not_keep_its_span_open(
    app: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """It ends with the failure that is reported for it."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    @app.task(name="stuck", execution_timeout=0.2)
    def stuck() -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    async def fail() -> None:
        with pytest.raises(TaskRunError):
            await app.aio_enqueue("stuck", {}, wait_for_result=True)

    async with serving(app):
        trace_id = await _trace_of(sink, provider_of, fail())
        spans = await asyncio.to_thread(sink.wait_for, trace_id, "process stuck")
        release.set()
    assert _one(spans, "process stuck").attributes["error.type"] == "ExecutionTimeout"


async def test_what_is_not_sampled_is_recorded_nowhere(
    app: Windlass, traced_engine: Engine, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """Not by the engine, not by the worker, not below it; the decision is the caller's."""
    seen: list[bool] = []

    @app.task(name="quiet-child")
    async def child() -> None:
        seen.append(trace.get_current_span().get_span_context().trace_flags.sampled)

    @app.task(name="quiet")
    async def quiet() -> None:
        seen.append(trace.get_current_span().get_span_context().trace_flags.sampled)
        await child.aio_run()

    @app.task(name="loud")
    async def loud() -> None:
        pass

    async with Windlass(config=traced_engine.config) as silent, serving(app):
        otel.instrument(silent, provider_of("silent", ALWAYS_OFF))
        await silent.aio_enqueue("quiet", {}, wait_for_result=True)
        # What came later is there: so would the others be.
        trace_id = await _trace_of(sink, provider_of, app.aio_enqueue("loud", {}, wait_for_result=True))
        await asyncio.to_thread(sink.wait_for, trace_id, "process loud", "settle loud", "submit loud")
    assert seen == [False, False]
    assert not [span for span in sink.spans if "quiet" in span.name]


async def test_what_is_not_sampled_still_knows_its_trace(
    traced_engine: Engine, serving: Serving, provider_of: MakingProvider
) -> None:
    """Runs of one bulk, of the next, on the loop and on threads: log lines elsewhere have the same id."""
    provider = provider_of("silent", ALWAYS_OFF)

    def its_trace() -> str:
        return f"{trace.get_current_span().get_span_context().trace_id:032x}"

    async with Windlass(config=traced_engine.config) as silent:
        otel.instrument(silent, provider)

        @silent.task(name="quiet-on-loop")
        async def on_loop() -> str:
            return its_trace()

        @silent.task(name="quiet-on-thread")
        def on_thread() -> str:
            return its_trace()

        async with serving(silent):
            for task in (on_loop, on_thread, on_loop):
                with provider.get_tracer("test").start_as_current_span("caller"):
                    expected = its_trace()
                    seen = await task.aio_run_many([task.create_bulk_run_item() for _ in range(3)])
                assert seen == [expected] * 3


async def test_a_run_that_nobody_traced_begins_a_trace_at_the_worker(
    app: Windlass, traced_engine: Engine, sink: OtlpSink, serving: Serving
) -> None:
    """The engine has nothing to hang its spans on."""

    @app.task(name="orphan")
    async def orphan(ctx: Context) -> str:
        return f"{trace.get_current_span().get_span_context().trace_id:032x}"

    async with Windlass(config=traced_engine.config) as plain, serving(app):
        trace_id = await plain.aio_enqueue("orphan", {}, wait_for_result=True)
        spans = await asyncio.to_thread(sink.wait_for, trace_id, "process orphan")
    assert [(span.parent_id, span.links) for span in spans] == [("", ())]


async def test_what_a_batch_gathers_is_created_one_by_one(
    app: Windlass, sink: OtlpSink, serving: Serving, provider_of: MakingProvider
) -> None:
    """Each run has a creation context of its own, although they travel together."""

    @app.task(name="gathered")
    async def gathered(n: int) -> int:
        return n

    def delay_all() -> list[str]:
        with app.batch():
            return [gathered.delay(n).id for n in range(3)]

    async with serving(app):
        trace_id = await _trace_of(sink, provider_of, asyncio.to_thread(delay_all))
        spans = await asyncio.to_thread(sink.wait_for, trace_id, *["create gathered", "process gathered"] * 3)
    created = {span.span_id for span in spans if span.name == "create gathered"}
    assert {span.parent_id for span in spans if span.name == "process gathered"} == created
    assert len(created) == 3
