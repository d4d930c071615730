"""The client's session with the api: one for all callers, resumed when it breaks; against an api that only answers."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sdk_tasks import Number, Tasks, kinds
from windlass.exceptions import (
    InvalidInput,
    PayloadTooLarge,
    ResultTimeout,
    StoreFull,
    UnknownRun,
)
from windlass.v1 import error_pb2

if TYPE_CHECKING:
    from tests.support.fake_api import FakeApi


def test_a_definition_is_registered_once_and_before_the_first_submit(api: FakeApi, tasks: Tasks) -> None:
    """On each connection."""
    tasks.plain.run(1)
    tasks.plain.run(2)
    assert kinds(api) == ["register", "submit", "submit"]
    assert api.registered == ["plain"]


async def test_many_coroutines_travel_in_few_messages(api: FakeApi, tasks: Tasks) -> None:
    """A thousand calls at once, a handful of messages."""
    results = await asyncio.gather(*(tasks.model.aio_run(Number(i=i)) for i in range(1000)))
    assert results == [Number(i=i) for i in range(1000)]
    assert len(api.requests) < 50


def test_many_threads_share_one_session(api: FakeApi, tasks: Tasks) -> None:
    """And each gets its own results."""
    results: dict[int, int] = {}

    def work(i: int) -> None:
        results[i] = tasks.model.run(Number(i=i)).i

    threads = [threading.Thread(target=work, args=(i,)) for i in range(30)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == {i: i for i in range(30)}
    assert api.sessions == 1


def test_a_refused_definition_fails_its_runs_alone(api: FakeApi, tasks: Tasks) -> None:
    """And is tried again with the next one."""
    api.refuse_registration = error_pb2.ErrorDetail(
        reason=error_pb2.ERROR_REASON_INVALID_FIELD, message="bad", field="name"
    )
    with pytest.raises(InvalidInput, match="bad"):
        tasks.plain.run(1)
    api.refuse_registration = None
    assert tasks.plain.run(1)["a"] == 1


def test_a_definition_too_large_for_a_message_fails_its_call(tasks: Tasks) -> None:
    """Sent again it would break the session off again, for everybody, for ever."""
    assert tasks.plain.run(1)["a"] == 1

    @tasks.app.task(description="x" * 5_000_000)
    def wordy(a: int) -> int:
        return a

    with pytest.raises(PayloadTooLarge, match="larger than max"):
        wordy.delay(1)
    assert tasks.plain.run(2)["a"] == 2


def test_a_full_store_is_told_and_an_unavailable_one_waited_for(api: FakeApi, tasks: Tasks) -> None:
    """Backpressure is the caller's business, an outage is not."""
    full = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_STORE_FULL, message="full", retry_after_ms=1000)
    api.refuse = lambda _: full
    with pytest.raises(StoreFull) as refused:
        tasks.plain.run(1)
    assert refused.value.retry_after == 1.0
    away = [
        error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_STORE_UNAVAILABLE, message="away", retry_after_ms=5)
    ] * 2
    api.refuse = lambda _: away.pop() if away else None
    assert tasks.plain.run(1)["a"] == 1
    assert not away


def test_a_broken_stream_is_resumed_under_the_same_run_ids(api: FakeApi, tasks: Tasks) -> None:
    """Unacknowledged submits are sent again, results subscribed to again."""
    api.acknowledge = False
    results: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: results.append(tasks.plain.run(5)))
    caller.start()
    api.wait_until(lambda: len(api.submitted) == 1)
    api.acknowledge = True
    api.break_streams()
    caller.join(10)
    assert results == [{"a": 5, "b": "x"}]
    assert len(api.submitted) == 1
    assert kinds(api) == ["register", "submit", "register", "submit"]


@pytest.mark.parametrize("reason", [error_pb2.ERROR_REASON_SLOW_READER, error_pb2.ERROR_REASON_TOO_MANY])
def test_a_session_that_is_cut_off_is_resumed_under_the_same_run_ids(
    api: FakeApi, tasks: Tasks, reason: error_pb2.ErrorReason.ValueType
) -> None:
    """No caller hears of it, whose submit was under way or whose result is still to come."""
    api.acknowledge = False
    results: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: results.append(tasks.plain.run(5)))
    caller.start()
    api.wait_until(lambda: len(api.submitted) == 1)
    api.acknowledge = True
    api.break_streams(reason)
    caller.join(10)
    assert results == [{"a": 5, "b": "x"}]
    assert len(api.submitted) == 1


def test_awaited_results_are_subscribed_to_again(api: FakeApi, tasks: Tasks) -> None:
    """After a new connection."""
    api.complete = False
    results: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: results.append(tasks.plain.run(5)))
    caller.start()
    api.wait_until(lambda: len(api.submitted) == 1)
    tasks.plain.delay(1)  # its acknowledgement comes after the other's
    run_id = next(iter(api.submitted))
    api.break_streams()
    api.wait_until(lambda: [run_id] in [list(each.subscribe.run_ids) for each in api.requests])
    api.finish(run_id, b'{"a":6}')
    caller.join(10)
    assert results == [{"a": 6}]


def test_a_run_that_the_engine_lost_is_unknown(tasks: Tasks) -> None:
    """Expired, or never submitted."""
    with pytest.raises(UnknownRun, match="no-such-run"):
        tasks.app.runs.get_result("no-such-run")


def test_calls_wait_while_an_api_that_was_there_is_away(api: FakeApi, tasks: Tasks) -> None:
    """Until it is back, or their timeout ends."""
    tasks.plain.run(1)
    api.stop()
    with pytest.raises(ResultTimeout, match="not been acknowledged"):
        tasks.model.run(Number(i=1), timeout=0.3)
    results: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: results.append(tasks.plain.run(2)))
    caller.start()
    api.start()
    caller.join(15)
    assert results == [{"a": 2, "b": "x"}]
