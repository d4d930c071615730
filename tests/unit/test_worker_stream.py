"""The worker against a dispatcher without an engine: executes, reports, reconnects, drains."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import grpc
import pytest
from typing_extensions import override

from tests.support.fake_dispatcher import FakeDispatcher, fake_dispatcher
from tests.support.scripted_dispatcher import assignment
from tests.support.worker_thread import running_worker
from windlass import Context, Windlass
from windlass.exceptions import InvalidConfig, WindlassError
from windlass.v1 import dispatch_pb2
from windlass.worker import session


@pytest.fixture
def app(dispatcher: FakeDispatcher) -> Windlass:
    """An app whose api is the fake."""
    return Windlass(config=dispatcher.config())


class Gate:
    """A sync task that says that it has begun and ends when let."""

    def __init__(self, app: Windlass) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.calls = 0

        @app.task(name="gate")
        def gate() -> str:
            self.calls += 1
            self.begun.release()
            assert self.open.wait(10)
            return "through"

    def wait_begun(self) -> None:
        """Wait until one more call has begun."""
        assert self.begun.acquire(timeout=10)


def test_a_batch_is_executed_and_reported_together(
    app: Windlass, dispatcher: FakeDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Async tasks of one batch end in few reports, without accepts, where they end before those are due."""
    monkeypatch.setattr(session, "ACCEPT_DELAY", 60.0)

    @app.task
    async def double(number: int) -> int:
        return number * 2

    batch = [assignment("double", json.dumps({"number": n}).encode()) for n in range(100)]
    with running_worker(app):
        dispatcher.assign(*batch)
        dispatcher.wait_until(lambda: len(dispatcher.completed) == 100)
    assert dispatcher.completed[batch[7].run_id] == b"14"
    assert len(dispatcher.reports) <= 5
    assert dispatcher.accepted == []


def test_hello_tells_who_the_worker_is(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Name, labels, slots, queues and definitions."""

    @app.task
    def one() -> None: ...

    @app.task
    def other() -> None: ...

    with running_worker(app, slots=3, labels={"gpu": "yes"}, workflows=[one], queues=["a"]):
        (hello,) = dispatcher.hellos
    assert (hello.name, hello.slots, dict(hello.labels)) == ("test", 3, {"gpu": "yes"})
    assert [each.name for each in hello.workflows] == ["one"]
    assert list(hello.queues) == ["a"]
    assert hello.sdk.startswith("python ")


def test_sync_tasks_run_at_the_same_time_and_are_accepted(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Each on a thread; what takes long is accepted."""
    gate = Gate(app)
    batch = [assignment("gate") for _ in range(3)]
    with running_worker(app):
        dispatcher.assign(*batch)
        for _ in batch:
            gate.wait_begun()
        dispatcher.wait_until(lambda: len(dispatcher.accepted) == 3)
        gate.open.set()
        dispatcher.wait_until(lambda: len(dispatcher.completed) == 3)


def test_a_broken_stream_re_runs_nothing(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Hello names what runs; what ended while there was no stream is reported on the next."""
    gate = Gate(app)
    work = assignment("gate")
    with running_worker(app):
        dispatcher.assign(work)
        gate.wait_begun()
        dispatcher.break_streams()
        dispatcher.wait_until(lambda: len(dispatcher.hellos) == 2)
        assert list(dispatcher.hellos[1].held_lease_ids) == [work.lease_id]
        dispatcher.assign(work)
        gate.open.set()
        dispatcher.wait_until(lambda: work.run_id in dispatcher.completed)
    assert gate.calls == 1


def test_a_dispatcher_that_comes_back_is_found_again(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Results wait for it."""
    gate = Gate(app)
    work = assignment("gate")
    with running_worker(app):
        dispatcher.assign(work)
        gate.wait_begun()
        dispatcher.stop()
        gate.open.set()
        dispatcher.start()
        dispatcher.wait_until(lambda: work.run_id in dispatcher.completed)
    assert gate.calls == 1


def test_results_are_sent_again_until_acknowledged(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """A result whose ack was lost with its stream travels again on the next."""

    @app.task
    async def quick() -> int:
        return 1

    work = assignment("quick")
    dispatcher.script.acknowledges = False
    with running_worker(app):
        dispatcher.assign(work)
        dispatcher.wait_until(lambda: len(dispatcher.completed) == 1)
        dispatcher.break_streams(grpc.StatusCode.FAILED_PRECONDITION)
        dispatcher.wait_until(lambda: len(dispatcher.reports) == 2)
        assert list(dispatcher.hellos[1].held_lease_ids) == [work.lease_id]
        assert dispatcher.reports[1].completed[0].lease_id == work.lease_id
        dispatcher.acknowledge(work.lease_id)


def test_goodbye_moves_the_worker_to_another_dispatcher(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """The one that says goodbye is left, though the api still names it first."""
    gate = Gate(app)
    work = assignment("gate")
    with fake_dispatcher() as other:
        with running_worker(app):
            dispatcher.assign(work)
            gate.wait_begun()
            dispatcher.api.addresses = [dispatcher.address, other.address]
            dispatcher.say(goodbye=dispatch_pb2.Goodbye(reason="deploy"))
            other.wait_until(lambda: len(other.hellos) == 1)
            gate.open.set()
            other.wait_until(lambda: work.run_id in other.completed)
        assert list(other.hellos[0].held_lease_ids) == [work.lease_id]
        assert len(dispatcher.hellos) == 1


def test_draining_finishes_what_runs(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Draining is told, the outcome acknowledged, and only then the stream closed, by the worker."""
    gate = Gate(app)
    work = assignment("gate")
    with running_worker(app) as worker:
        dispatcher.assign(work)
        gate.wait_begun()
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        dispatcher.wait_until(lambda: dispatcher.draining)
        gate.open.set()
        stopping.join(10)
        dispatcher.wait_until(lambda: dispatcher.closed == 1)
    assert work.run_id in dispatcher.completed


def test_what_does_not_finish_within_the_grace_is_handed_back(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Released, cancelled here, and acknowledged before the worker has left."""
    begun, cancelled = threading.Event(), threading.Event()

    @app.task
    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    work = assignment("forever")
    with running_worker(app) as worker:
        dispatcher.assign(work)
        assert begun.wait(10)
        worker.stop(grace=0, timeout=10)
        assert dispatcher.failed[work.run_id].released
    assert cancelled.is_set()


def test_log_lines_arrive_before_the_result(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """In batches, in order, with level and attempt."""

    @app.task
    def talk(ctx: Context) -> None:
        ctx.log("one")
        ctx.log("two", level="warning")

    work = assignment("talk", attempt=2, max_attempts=3)
    with running_worker(app):
        dispatcher.assign(work)
        dispatcher.wait_until(lambda: work.run_id in dispatcher.completed)
    lines = [line for entry in dispatcher.logs for line in entry.lines]
    assert [(line.level, line.message, line.attempt) for line in lines] == [
        ("INFO", "one", 2),
        ("WARNING", "two", 2),
    ]


def test_a_cancel_reaches_the_task(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """The async task gets CancelledError after the grace, and is reported."""
    begun = threading.Event()

    @app.task
    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    work = assignment("forever")
    with running_worker(app):
        dispatcher.assign(work)
        assert begun.wait(10)
        dispatcher.say(cancel=dispatch_pb2.Cancel(lease_ids=[work.lease_id], reason="asked"))
        dispatcher.wait_until(lambda: work.run_id in dispatcher.failed)
    assert dispatcher.failed[work.run_id].failure.type == "CancelledError"


def test_a_task_that_cancels_itself_is_cancelled_before_its_result_is_told(
    app: Windlass, dispatcher: FakeDispatcher
) -> None:
    """Otherwise it would end COMPLETED."""

    @app.task
    async def enough(ctx: Context) -> bool:
        ctx.cancel()
        return ctx.is_cancelled

    work = assignment("enough")
    with running_worker(app):
        dispatcher.assign(work)
        dispatcher.wait_until(lambda: work.run_id in dispatcher.completed)
        assert dispatcher.api.cancelled_runs == [work.run_id]
    assert dispatcher.completed[work.run_id] == b"true"


def test_a_refused_worker_ends_with_the_reason(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """What will be refused again is not tried again."""
    dispatcher.script.refuse = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(WindlassError, match="refused"):
        app.worker("test").start()


def test_a_missing_engine_is_waited_for(dispatcher: FakeDispatcher, caplog: pytest.LogCaptureFixture) -> None:
    """The worker says what is missing and where it looked."""
    app = Windlass(config=dispatcher.config())
    dispatcher.stop()
    worker = app.worker("test")
    complained = threading.Event()

    class Listener(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            if dispatcher.address in record.getMessage():
                complained.set()

    listener = Listener()
    logging.getLogger("windlass.worker").addHandler(listener)
    thread = threading.Thread(target=worker.start)
    thread.start()
    try:
        assert complained.wait(10)
        assert not worker.ready.is_set()
        dispatcher.start()
        assert worker.wait_ready(10)
    finally:
        logging.getLogger("windlass.worker").removeHandler(listener)
        worker.stop(grace=0, timeout=10)
        thread.join(10)


async def test_a_worker_embeds_in_a_running_loop(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """Its tasks run on that loop; stopping twice is harmless, and so is stopping before the start."""
    loops = []

    @app.task
    async def where() -> None:
        loops.append(asyncio.get_running_loop())

    worker = app.worker("test")
    await worker.aio_stop()
    await worker.aio_start()
    with pytest.raises(InvalidConfig, match="started before"):
        await worker.aio_start()
    assert await asyncio.to_thread(worker.wait_ready, 10)
    work = assignment("where")
    await asyncio.to_thread(dispatcher.assign, work)
    await asyncio.to_thread(dispatcher.wait_until, lambda: work.run_id in dispatcher.completed)
    await worker.aio_stop()
    await worker.aio_stop()
    assert loops == [asyncio.get_running_loop()]


def test_heartbeats_go_on_while_a_task_blocks_the_loop(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """The stream has a thread of its own."""
    dispatcher.script.welcome.heartbeat_interval_ms = 20
    begun, unblock = threading.Event(), threading.Event()

    @app.task
    async def block() -> None:
        begun.set()
        unblock.wait(10)

    with running_worker(app):
        dispatcher.assign(assignment("block"))
        assert begun.wait(10)
        before = dispatcher.heartbeats
        dispatcher.wait_until(lambda: dispatcher.heartbeats >= before + 3)
        unblock.set()


def test_a_silent_dispatcher_is_left_and_attempts_stop_at_the_deadline(
    app: Windlass, dispatcher: FakeDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours runs once the engine may have given it to somebody else."""
    dispatcher.script.welcome.session_ttl_ms = 300
    dispatcher.script.welcome.heartbeat_interval_ms = 100
    begun, stopped = threading.Event(), threading.Event()

    @app.task
    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    work = assignment("forever")
    with running_worker(app):
        dispatcher.assign(work)
        assert begun.wait(10)
        dispatcher.stop()
        assert stopped.wait(10)
        dispatcher.start()
        dispatcher.wait_until(lambda: work.run_id in dispatcher.failed)
    assert dispatcher.failed[work.run_id].released


def test_blocking_calls_are_refused_on_the_workers_loop(app: Windlass, dispatcher: FakeDispatcher) -> None:
    """They would deadlock; the error names the way out."""

    @app.task
    async def submits() -> None:
        app.enqueue("other", {})

    work = assignment("submits")
    with running_worker(app):
        dispatcher.assign(work)
        dispatcher.wait_until(lambda: work.run_id in dispatcher.failed)
    failure = dispatcher.failed[work.run_id].failure
    assert failure.type == "SyncCallOnLoop"
    assert "aio_" in failure.message


@pytest.mark.parametrize("options", [{"slots": 0}, {"slots": 100_001}, {"queues": "one"}])
def test_options_out_of_range_are_refused(app: Windlass, options: dict[str, object]) -> None:
    """At the call, with what was expected."""
    with pytest.raises(InvalidConfig, match="expected"):
        app.worker("test", **options)  # type: ignore[arg-type]
