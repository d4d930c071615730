"""Calls of tasks and what comes of them: outputs, references, options, errors, against an api that only answers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.fake_api import FakeApi, results_of
from tests.support.sdk_tasks import Number, Tasks, kinds
from windlass import Priority, RetryPolicy, RunStatus
from windlass.context import current
from windlass.exceptions import (
    BatchRefused,
    InvalidInput,
    PayloadTooLarge,
    ResultTimeout,
    RunCancelled,
    SyncCallOnLoop,
    TaskRunError,
    UnknownRun,
    UnknownTask,
)
from windlass.mock_context import mock_context
from windlass.transport.io_thread import allow_sync_calls_on, forbid_sync_calls_on
from windlass.v1 import error_pb2, run_pb2


def test_run_gives_the_typed_output(tasks: Tasks) -> None:
    """Both forms."""
    assert tasks.model.run(Number(i=3)) == Number(i=3)
    assert tasks.plain.run(1, b="y") == {"a": 1, "b": "y"}


async def test_aio_run_gives_the_typed_output(tasks: Tasks) -> None:
    """On any loop."""
    assert await tasks.model.aio_run(Number(i=3)) == Number(i=3)
    assert await tasks.plain.aio_run(1) == {"a": 1, "b": "x"}


def test_run_many_splits_into_messages_of_a_thousand(api: FakeApi, tasks: Tasks) -> None:
    """Any number of items."""
    items = [tasks.plain.create_bulk_run_item(i) for i in range(2500)]
    assert [each["a"] for each in tasks.plain.run_many(items)] == list(range(2500))
    assert [len(each.submit.runs) for each in api.requests if each.HasField("submit")] == [1000, 1000, 500]


def test_large_inputs_are_split_by_bytes(api: FakeApi, tasks: Tasks) -> None:
    """A message stays below 4 MiB."""
    items = [tasks.plain.create_bulk_run_item(i, "x" * 900_000) for i in range(6)]
    assert len(tasks.plain.run_many(items)) == 6
    assert max(each.ByteSize() for each in api.requests) < 4 * 1024 * 1024


def test_an_empty_run_many_is_an_empty_list(tasks: Tasks) -> None:
    """And costs nothing."""
    assert tasks.plain.run_many([]) == []


async def test_references_come_when_the_engine_has_the_run(api: FakeApi, tasks: Tasks) -> None:
    """`wait_for_result=False`, `delay`, `run_many`."""
    ref = await tasks.model.aio_run(Number(i=1), wait_for_result=False)
    assert ref.id == ref.workflow_run_id
    assert ref.id in api.submitted
    refs = await tasks.model.aio_run_many([tasks.model.create_bulk_run_item(Number(i=2))], wait_for_result=False)
    assert refs[0].id in api.submitted
    assert not any(each.submit.subscribe for each in api.requests if each.HasField("submit"))
    waiting = asyncio.ensure_future(ref.aio_result())
    await asyncio.to_thread(api.wait_until, lambda: "subscribe" in kinds(api))
    await asyncio.to_thread(api.finish, ref.id, b'{"i":7}')
    assert await waiting == Number(i=7)
    assert await ref.aio_result() == Number(i=7)


def test_options_travel(api: FakeApi, tasks: Tasks) -> None:
    """Each one, in both forms."""
    ref = tasks.plain.options(
        additional_metadata={"k": [1]},
        priority=Priority.CRITICAL,
        retry=RetryPolicy(max_attempts=4),
        delay="2s",
        expires=60,
        queue="fast",
    ).delay(1)
    spec = api.submitted[ref.id]
    assert spec.metadata_json == b'{"k":[1]}'
    assert (spec.priority, spec.retry.max_attempts, spec.delay_ms, spec.expires_ms, spec.queue) == (
        4,
        4,
        2000,
        60_000,
        "fast",
    )
    tasks.model.run(Number(i=1), priority=Priority.LOW)
    assert list(api.submitted.values())[-1].priority == 1


def test_runs_submitted_inside_a_task_name_their_parent(api: FakeApi, tasks: Tasks) -> None:
    """So that cancelling reaches them."""
    context = mock_context(tasks.model, b"{}")
    token = current.set(context)
    try:
        ref = tasks.plain.delay(1)
    finally:
        current.reset(token)
    assert api.submitted[ref.id].parent_task_run_id == context.task_run_id


def test_failures_and_cancellations_are_raised(api: FakeApi, tasks: Tasks) -> None:
    """The same for a waiting call and for a reference."""
    api.complete = False
    failed = run_pb2.Failure(type="ValueError", message="no", traceback="Traceback…", attempt=2)
    api.known_runs = {"f", "c"}
    outcomes: dict[str, BaseException] = {}

    def wait(run_id: str) -> None:
        try:
            tasks.app.runs.get_result(run_id)
        except (TaskRunError, RunCancelled) as error:
            outcomes[run_id] = error

    threads = [threading.Thread(target=wait, args=(run_id,)) for run_id in ("f", "c")]
    for each in threads:
        each.start()
    api.wait_until(lambda: sum(len(each.subscribe.run_ids) for each in api.requests) == 2)
    api.say(
        results_of(
            [
                run_pb2.RunResult(run_id="f", status=run_pb2.RUN_STATUS_FAILED, failure=failed),
                run_pb2.RunResult(run_id="c", status=run_pb2.RUN_STATUS_CANCELLED, cancel_reason="enough"),
            ]
        )
    )
    for each in threads:
        each.join()
    error = outcomes["f"]
    assert isinstance(error, TaskRunError)
    assert (error.type, error.error, error.traceback, error.attempt) == ("ValueError", "no", "Traceback…", 2)
    assert isinstance(outcomes["c"], RunCancelled)
    assert outcomes["c"].reason == "enough"


def test_an_unknown_task_is_named_at_the_call(api: FakeApi, tasks: Tasks) -> None:
    """By name alone, as nobody here has it."""
    unknown = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW, message="no workflow 'email.send'")
    api.refuse = lambda _: unknown
    with pytest.raises(UnknownTask, match=r"'email\.send'.*start a worker"):
        tasks.app.enqueue("email.send", {"to": "a"})


def test_enqueue_by_name(api: FakeApi, tasks: Tasks) -> None:
    """A dict is the input, a list the positional arguments; known tasks are checked here."""
    ref = tasks.app.enqueue("elsewhere", ["a", 2], queue="q")
    assert api.submitted[ref.id].input_json == b'["a",2]'
    assert api.registered == []
    assert tasks.app.enqueue("plain", [5], wait_for_result=True) == {"a": 5, "b": "x"}
    with pytest.raises(InvalidInput, match="a: "):
        tasks.app.enqueue("plain", {"a": "no number"})
    with pytest.raises(InvalidInput, match="dict"):
        tasks.app.enqueue("elsewhere", 7)


def test_nothing_invalid_is_sent(api: FakeApi, tasks: Tasks) -> None:
    """Bad input, bad metadata, too much of it."""
    with pytest.raises(InvalidInput, match="i: "):
        tasks.model.run({"i": "x"})  # type: ignore[call-overload]
    with pytest.raises(PayloadTooLarge, match="1 MiB"):
        tasks.plain.run(1, "x" * 1024 * 1024)
    with pytest.raises(PayloadTooLarge, match="64 KiB"):
        tasks.model.run(Number(i=1), additional_metadata={"k": "x" * 70_000})
    assert api.requests == []


def test_run_many_reports_what_was_refused(api: FakeApi, tasks: Tasks) -> None:
    """In place, or by raising the first."""
    taken = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_RUN_ID_TAKEN, message="taken")
    api.refuse = lambda spec: taken if b"13" in spec.input_json else None
    items = [tasks.plain.create_bulk_run_item(i) for i in (12, 13, 14)]
    results = tasks.plain.run_many(items, return_exceptions=True)
    assert results[0] == {"a": 12, "b": "x"}
    assert isinstance(results[1], Exception)
    with pytest.raises(type(results[1])):
        tasks.plain.run_many([tasks.plain.create_bulk_run_item(i) for i in (12, 13)])


def test_a_batch_is_acknowledged_at_its_end(api: FakeApi, tasks: Tasks) -> None:
    """References are there at once."""
    with tasks.app.batch():
        refs = [tasks.plain.delay(i) for i in range(1300)]
    assert [ref.id for ref in refs] == list(api.submitted)
    taken = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_RUN_ID_TAKEN, message="taken")
    api.refuse = lambda spec: taken if b"13" in spec.input_json else None
    with pytest.raises(BatchRefused, match="1 of 2 runs were refused: taken") as refused, tasks.app.batch():
        refs = [tasks.plain.delay(12), tasks.plain.delay(13)]
    assert list(refused.value.errors) == [refs[1].id]


def test_a_timeout_ends_the_waiting_alone(api: FakeApi, tasks: Tasks) -> None:
    """The run goes on, and can be asked for again."""
    api.complete = False
    ref = tasks.model.run(Number(i=1), wait_for_result=False)
    with pytest.raises(ResultTimeout, match=r"not ended within 0\.05 s; the run goes on") as late:
        ref.result(timeout=0.05)
    assert late.value.acknowledged
    assert late.value.run_id in api.submitted


async def test_a_timeout_on_a_loop_is_the_same(api: FakeApi, tasks: Tasks) -> None:
    """And says whether the engine has the run."""
    api.acknowledge = False
    with pytest.raises(ResultTimeout, match="not been acknowledged") as late:
        await tasks.model.aio_run(Number(i=1), timeout=0.05)
    assert not late.value.acknowledged
    assert isinstance(late.value, TimeoutError)
    api.acknowledge = True


async def test_a_cancelled_caller_forgets_its_run(api: FakeApi, tasks: Tasks) -> None:
    """Its result, if it comes, is nobody's."""
    api.complete = False
    waiting = asyncio.ensure_future(tasks.model.aio_run(Number(i=1)))
    await asyncio.to_thread(api.wait_until, lambda: bool(api.submitted))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.to_thread(api.finish, next(iter(api.submitted)))
    assert (await tasks.model.aio_delay(Number(i=2))).id in api.submitted


def test_runs_are_shown(api: FakeApi, tasks: Tasks) -> None:
    """By id; unknown ones are told."""
    ref = tasks.plain.delay(1)
    assert ref.status() is RunStatus.COMPLETED
    run = tasks.app.runs.get(ref.id)
    assert (run.workflow_name, run.input, run.created_at.year) == ("plain", {"a": 1, "b": "x"}, 2023)
    with pytest.raises(UnknownRun):
        tasks.app.runs.get("other")


async def test_sync_calls_on_a_workers_loop_name_their_twin(tasks: Tasks) -> None:
    """They would stop every task on it; from a thread they are fine."""
    loop = asyncio.get_running_loop()
    forbid_sync_calls_on(loop)
    try:
        with pytest.raises(SyncCallOnLoop, match=r"plain\.aio_run"):
            tasks.plain.run(1)
        with pytest.raises(SyncCallOnLoop, match="aio_get"):
            tasks.app.runs.get("x")
        assert await asyncio.to_thread(tasks.plain.run, 1) == {"a": 1, "b": "x"}
    finally:
        allow_sync_calls_on(loop)


def test_sync_calls_on_any_other_loop_work(tasks: Tasks) -> None:
    """They block it, and nothing else."""

    async def main() -> dict[str, Any]:
        return tasks.plain.run(1)

    assert asyncio.run(main()) == {"a": 1, "b": "x"}
