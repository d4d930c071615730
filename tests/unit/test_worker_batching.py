"""Batch tasks on a worker: which runs share a call, and what becomes of each of them."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any, cast

import pytest
from pydantic import BaseModel
from typing_extensions import override

from tests.support.attempts import Attempts
from tests.support.batch_calls import Calls, Order, both, outputs, started
from tests.support.fake_dispatcher import fake_dispatcher
from tests.support.scripted_dispatcher import assignment
from tests.support.worker_thread import running_worker
from windlass import BatchContext, CallNext, Context, NonRetryableException, Windlass
from windlass.context import current
from windlass.worker.outcome import FailedAttempt


@both
async def test_a_full_batch_begins_at_once(app: Windlass, how: str) -> None:
    """And the next one gathers anew; each run gets its own output."""
    calls = Calls(app, how, batch_max_size=3, batch_max_interval="1h")
    calls.go_on()
    attempts = Attempts(app, slots=10)
    works = started(attempts, 1, 2, 3, 4, 5, 6)
    assert await outputs(attempts, works) == [2, 4, 6, 8, 10, 12]
    # On threads either may be first.
    assert sorted(calls.inputs) == [[1, 2, 3], [4, 5, 6]]


@both
async def test_a_batch_begins_when_its_interval_is_over(app: Windlass, how: str) -> None:
    """With what has come."""
    calls = Calls(app, how, batch_max_interval="1ms")
    calls.go_on()
    attempts = Attempts(app)
    assert await outputs(attempts, started(attempts, 1, 2)) == [2, 4]
    assert calls.inputs == [[1, 2]]


async def test_a_draining_worker_waits_for_nobody(app: Windlass) -> None:
    """No more inputs will come."""
    calls = Calls(app, "async", batch_max_interval="1h")
    calls.go_on()
    attempts = Attempts(app)
    works = started(attempts, 1)
    attempts.runner.drain()
    assert await outputs(attempts, works) == [2]


def test_a_drain_on_the_way_reaches_the_batch() -> None:
    """The worker ends as soon as its batch has."""
    with fake_dispatcher() as dispatcher:
        app = Windlass(config=dispatcher.config())
        calls = Calls(app, "async", batch_max_interval="1h")
        calls.go_on()
        with running_worker(app) as worker:
            dispatcher.assign(work := assignment("double", b"4"))
            dispatcher.wait_until(lambda: work.lease_id in dispatcher.accepted)
            worker.stop(grace=10, timeout=20)
        assert dispatcher.completed[work.run_id] == b"8"


@both
async def test_what_is_raised_fails_all(app: Windlass, how: str) -> None:
    """Each with the traceback of the function, and none of ours."""

    def fail(numbers: list[int]) -> list[int]:
        raise NonRetryableException(f"{len(numbers)} of them")

    async def aio_fail(numbers: list[int]) -> list[int]:
        raise NonRetryableException(f"{len(numbers)} of them")

    app.batch_task(name="double", batch_max_size=2)(fail if how == "sync" else aio_fail)
    attempts = Attempts(app)
    for work in started(attempts, 1, 2):
        outcome = await attempts.outcome(work)
        assert isinstance(outcome, FailedAttempt)
        assert (outcome.failure.type, outcome.failure.message) == ("NonRetryableException", "2 of them")
        assert outcome.failure.non_retryable
        frames = [line for line in outcome.failure.traceback.splitlines() if line.startswith("  File")]
        assert len(frames) == 1, outcome.failure.traceback
        assert "fail" in frames[0]


async def test_an_exception_in_an_outputs_place_fails_that_one(app: Windlass) -> None:
    """The others complete."""

    @app.batch_task(name="double", batch_max_size=3)
    def double(numbers: list[int]) -> list[int | ValueError]:
        return [ValueError(f"not {number}") if number == 2 else 2 * number for number in numbers]

    attempts = Attempts(app)
    assert await outputs(attempts, started(attempts, 1, 2, 3)) == [2, "ValueError", 6]


@pytest.mark.parametrize(("returned", "message"), [([1], "2 outputs were expected.*and 1 came"), ({}, "a dict came")])
async def test_outputs_have_to_be_as_many_as_the_inputs(app: Windlass, returned: Any, message: str) -> None:
    """Nobody could tell whose they are."""

    @app.batch_task(name="double", batch_max_size=2)
    def double(numbers: list[int]) -> list[int]:
        return cast("list[int]", returned)

    attempts = Attempts(app)
    for work in started(attempts, 1, 2):
        outcome = await attempts.outcome(work)
        assert isinstance(outcome, FailedAttempt)
        with pytest.raises(ValueError, match=message):
            raise ValueError(outcome.failure.message)


async def test_nothing_returned_is_nothing_for_each(app: Windlass) -> None:
    """A function for its effect alone."""

    @app.batch_task(name="double", batch_max_size=2)
    async def double(numbers: list[int]) -> None: ...

    attempts = Attempts(app)
    assert await outputs(attempts, started(attempts, 1, 2)) == [None, None]


async def test_a_wrong_input_is_nobody_elses_business(app: Windlass) -> None:
    """It never gets into a batch."""
    calls = Calls(app, "async", batch_max_size=2, batch_max_interval="1h")
    calls.go_on()
    attempts = Attempts(app)
    works = started(attempts, 1)
    failure = await attempts.fail("double", b'"three"')
    assert failure.type == "InvalidInput"
    assert await outputs(attempts, [*works, *started(attempts, 2)]) == [2, 4]


@dataclass
class Parcel:
    """An input that is no model."""

    shop: str
    number: int


@pytest.mark.parametrize("kind", [Order, Parcel, dict[str, Any]])
@pytest.mark.parametrize("key", ["shop", lambda order: order["shop"] if isinstance(order, dict) else order.shop])
async def test_a_batch_is_of_one_group(app: Windlass, kind: Any, key: Any) -> None:
    """Told by a field of the input, or by a function of it."""
    groups: list[list[str]] = []

    @app.batch_task(input_validator=kind, batch_max_size=2, batch_max_interval="1h", batch_group_key=key)
    async def ship(orders: list[Any]) -> list[int]:
        plain = [order if isinstance(order, dict) else vars(order) for order in orders]
        groups.append([each["shop"] for each in plain])
        return [each["number"] for each in plain]

    attempts = Attempts(app)
    texts = [json.dumps({"shop": shop, "number": n}).encode() for n, shop in enumerate("abba")]
    works = [attempts.start("ship", text) for text in texts]
    assert await outputs(attempts, works) == [0, 1, 2, 3]
    assert sorted(groups) == [["a", "a"], ["b", "b"]]


async def test_a_group_that_cannot_be_told_apart_fails_the_run(app: Windlass) -> None:
    """With an error that says what it was."""

    @app.batch_task(batch_group_key=lambda words: words)
    async def join(words: list[list[str]]) -> list[str]:
        return ["".join(each) for each in words]

    failure = await Attempts(app).fail("join", b'["a"]')
    assert (failure.type, "batch_group_key gave a list" in failure.message) == ("TypeError", True)


@both
async def test_the_timeout_is_the_calls(app: Windlass, how: str) -> None:
    """The call is stopped, and all of its runs fail of it; the engine is told that waiting comes on top."""
    calls = Calls(app, how, batch_max_size=2, batch_max_interval="30s", execution_timeout="50ms")
    task = app.tasks["double"]
    assert task.definition().tasks[0].execution_timeout_ms == 30_050
    attempts = Attempts(app)
    assert await outputs(attempts, started(attempts, 1, 2)) == ["ExecutionTimeout"] * 2
    assert await asyncio.to_thread(calls.ended.wait, 10)


@both
async def test_a_run_cancelled_before_its_batch_is_taken_out(app: Windlass, how: str) -> None:
    """Also where its grace is not over yet."""
    calls = Calls(app, how, batch_max_size=3, batch_max_interval="1h")
    calls.go_on()
    attempts = Attempts(app)
    gone, in_grace = started(attempts, 1, 2)
    attempts.runner.cancel([gone.lease_id], "enough", 0)
    assert await outputs(attempts, [gone]) == ["CancelledError"]
    attempts.runner.cancel([in_grace.lease_id], "enough", 3600)
    more = started(attempts, 3, 4)
    assert await outputs(attempts, [in_grace, *more]) == ["CancelledError", 6, 8]
    assert calls.inputs == [[3, 4]]


async def test_inputs_are_never_compared(app: Windlass) -> None:
    """Some have no answer to whether they are equal."""

    class Vector(BaseModel):
        x: int
        __hash__ = None  # type: ignore[assignment] # as Python has it for what defines __eq__

        @override
        def __eq__(self, other: object) -> bool:
            raise TypeError("ambiguous")

    @app.batch_task(batch_max_size=3, batch_max_interval="1h")
    async def add(vectors: list[Vector]) -> list[int]:
        return [vector.x for vector in vectors]

    attempts = Attempts(app)
    works = [attempts.start("add", b'{"x": 1}') for _ in range(2)]
    attempts.runner.cancel([works[1].lease_id], "enough", 0)
    assert await outputs(attempts, works[1:]) == ["CancelledError"]
    works += [attempts.start("add", b'{"x": 2}') for _ in range(2)]
    assert await outputs(attempts, [works[0], *works[2:]]) == [1, 2, 2]


@both
async def test_a_run_cancelled_during_the_call_leaves_the_others_to_it(app: Windlass, how: str) -> None:
    """Once nobody waits for it, the call is stopped."""
    calls = Calls(app, how, batch_max_size=2)
    attempts = Attempts(app)
    first, second = started(attempts, 1, 2)
    await calls.wait_begun()
    attempts.runner.cancel([first.lease_id], "enough", 0)
    assert await outputs(attempts, [first]) == ["CancelledError"]
    assert not calls.ended.is_set()
    attempts.runner.cancel([second.lease_id], "enough", 0)
    assert await outputs(attempts, [second]) == ["CancelledError"]
    assert await asyncio.to_thread(calls.ended.wait, 10)


@both
async def test_what_is_logged_belongs_to_all_of_the_batch(
    app: Windlass, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Through the BatchContext and through the standard library; one Context's own line is its run's."""
    caplog.set_level(logging.INFO)

    def say(numbers: list[int], ctx: BatchContext) -> None:
        assert current.get() is None
        assert [each.workflow_input for each in ctx] == numbers
        logging.getLogger("tests.batch").info("together")
        ctx.log("also together", "WARNING")
        ctx[1].log("alone")

    async def aio_say(numbers: list[int], ctx: BatchContext) -> None:
        say(numbers, ctx)

    app.batch_task(name="double", batch_max_size=2)(say if how == "sync" else aio_say)
    attempts = Attempts(app, capture_logs=True)
    works = started(attempts, 1, 2)
    await outputs(attempts, works)
    await attempts.runner.settle(1)
    lines = [[e.line.message for e in attempts.lines if e.lease_id == work.lease_id] for work in works]
    assert lines == [["together", "also together"], ["together", "also together", "alone"]]


async def test_middleware_is_round_each_run(app: Windlass) -> None:
    """They still share the call."""
    seen: list[int] = []

    @app.middleware
    async def add(ctx: Context, call_next: CallNext) -> Any:
        seen.append(ctx.workflow_input)
        return await call_next() + 1

    calls = Calls(app, "sync", batch_max_size=2)
    calls.go_on()
    attempts = Attempts(app)
    assert await outputs(attempts, started(attempts, 1, 2)) == [3, 5]
    assert (seen, calls.inputs) == ([1, 2], [[1, 2]])


async def test_two_workers_in_one_process_do_not_share_batches(app: Windlass) -> None:
    """Each has its own lifespan, and its own end."""
    calls = Calls(app, "async", batch_max_size=2, batch_max_interval="1h")
    calls.go_on()
    first, second = Attempts(app), Attempts(app, worker_id="another")
    works = started(first, 1), started(second, 2)
    first.runner.drain()
    assert await outputs(first, works[0]) == [2]
    second.runner.drain()
    assert await outputs(second, works[1]) == [4]
    assert calls.inputs == [[1], [2]]
