"""The Session stream: many requests and results over one connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import PATIENCE_S, raw_worker, submission, workflow
from windlass.v1 import error_pb2, run_pb2, run_service_pb2
from windlass_core.domain.names import mint_run_id
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.raw_client import Door


class Session:
    """One stream; answers by their request, results as they come."""

    def __init__(self, door: Door) -> None:
        self._call = door.runs.Session()
        self._requests = 0
        self._answers: dict[int, Any] = {}
        self.results: dict[str, run_pb2.RunResult] = {}

    async def ask(self, **message: Any) -> int:
        """Sends a request, and gives its number."""
        self._requests += 1
        await self._call.write(run_service_pb2.SessionRequest(request_id=self._requests, **message))
        return self._requests

    async def submit(self, *runs: run_service_pb2.RunSubmission, subscribe: bool = True) -> Any:
        """Submits, and gives the outcomes."""
        number = await self.ask(submit=run_service_pb2.SessionSubmit(runs=runs, subscribe=subscribe))
        return (await self.answer(number)).submitted.outcomes

    async def answer(self, number: int) -> Any:
        """The answer to a request."""
        while number not in self._answers:
            await self._read()
        return self._answers.pop(number)

    async def result(self, run_id: str) -> run_pb2.RunResult:
        """The end of a run."""
        while run_id not in self.results:
            await self._read()
        return self.results[run_id]

    async def code(self) -> grpc.StatusCode:
        """How the stream ends."""
        with suppress(EOFError, grpc.aio.AioRpcError):
            while True:
                await self._read()
        code: grpc.StatusCode = await self._call.code()
        return code

    async def close(self) -> None:
        """Ends it from this side."""
        await self._call.done_writing()
        await self.code()

    async def _read(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            response = await self._call.read()
        if response is grpc.aio.EOF:
            raise EOFError
        if response.WhichOneof("message") == "results":
            assert response.request_id == 0
            for result in response.results.results:
                assert result.run_id not in self.results, "told twice"
                self.results[result.run_id] = result
        else:
            self._answers[response.request_id] = response


@pytest.fixture
async def session(api: Door) -> AsyncIterator[Session]:
    """Give a stream of one's own."""
    session = Session(api)
    yield session
    await session.close()


def _ids(count: int) -> list[str]:
    return [mint_run_id(i, bytes.fromhex(mint_id()[:20])) for i in range(count)]


async def test_results_come_over_the_same_stream(session: Session, dispatcher: Door, task: str) -> None:
    """All of a thousand, once each."""
    ids = _ids(1000)
    outcomes = await session.submit(*[submission(task, i, run_id) for i, run_id in enumerate(ids)])
    assert [outcome.run_id for outcome in outcomes] == ids
    async with raw_worker(dispatcher, task, slots=1000) as worker:
        await worker.complete_all(await worker.assigned(1000))
    for i, run_id in enumerate(ids):
        result = await session.result(run_id)
        assert (result.status, result.output_json) == (run_pb2.RUN_STATUS_COMPLETED, str(i).encode())


async def test_requests_may_overlap(session: Session, task: str) -> None:
    """Each answer names its request."""
    numbers = [await session.ask(submit=run_service_pb2.SessionSubmit(runs=[submission(task, i)])) for i in range(50)]
    for number in reversed(numbers):
        assert len((await session.answer(number)).submitted.outcomes) == 1


async def test_a_definition_can_be_registered_right_before_its_first_run(session: Session) -> None:
    """Without waiting for the answer in between."""
    name = f"task-{mint_id()}"
    register = run_service_pb2.SessionRegister(workflows=[workflow(name)])
    first = await session.ask(register=register)
    outcomes = await session.submit(submission(name))
    assert not outcomes[0].HasField("error")
    assert len((await session.answer(first)).registered.versions) == 1


async def test_a_bad_definition_is_refused_and_the_stream_goes_on(session: Session, task: str) -> None:
    """With the field's path."""
    register = run_service_pb2.SessionRegister(workflows=[workflow("no good")])
    answer = await session.answer(await session.ask(register=register))
    assert answer.registered.error.field == "register.workflows[0].name"
    assert not (await session.submit(submission(task)))[0].HasField("error")


async def test_a_bad_run_is_refused_and_the_stream_goes_on(session: Session, task: str) -> None:
    """The others of its batch are taken."""
    outcomes = await session.submit(
        submission(task, run_id="x"), submission(task), submission("nobody-has-it"), submission(task, input_json=b"{")
    )
    reasons = [outcome.error.reason for outcome in outcomes]
    invalid, unknown = error_pb2.ERROR_REASON_INVALID_FIELD, error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW
    assert reasons == [invalid, error_pb2.ERROR_REASON_UNSPECIFIED, unknown, invalid]


async def test_a_client_that_is_back_subscribes_again(api: Door, session: Session, task: str) -> None:
    """To what ended meanwhile, and to what goes on; unknown ids are named."""
    first = Session(api)
    ids = _ids(2)
    await first.submit(*[submission(task, run_id=run_id) for run_id in ids])
    await first.close()
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[ids[0]]))
    never = _ids(1)[0]
    number = await session.ask(subscribe=run_service_pb2.SessionSubscribe(run_ids=[*ids, never]))
    assert list((await session.answer(number)).subscribed.unknown_run_ids) == [never]
    assert (await session.result(ids[0])).status == run_pb2.RUN_STATUS_CANCELLED
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[ids[1]]))
    assert (await session.result(ids[1])).status == run_pb2.RUN_STATUS_CANCELLED


async def test_submitting_again_tells_the_end_again(api: Door, session: Session, task: str) -> None:
    """The first answer, and the first result, went down with a stream."""
    (run_id,) = _ids(1)
    await api.submit(submission(task, run_id=run_id))
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[run_id]))
    outcomes = await session.submit(submission(task, run_id=run_id))
    assert outcomes[0].duplicate
    assert (await session.result(run_id)).status == run_pb2.RUN_STATUS_CANCELLED


async def test_without_a_subscription_no_end_is_told(api: Door, session: Session, task: str) -> None:
    """Fire and forget."""
    (quiet,) = [outcome.run_id for outcome in await session.submit(submission(task), subscribe=False)]
    (loud,) = [outcome.run_id for outcome in await session.submit(submission(task))]
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[quiet, loud]))
    await session.result(loud)
    assert quiet not in session.results


async def test_two_streams_hear_of_one_run(api: Door, session: Session, task: str) -> None:
    """Each once."""
    other = Session(api)
    (run_id,) = [outcome.run_id for outcome in await session.submit(submission(task))]
    await other.answer(await other.ask(subscribe=run_service_pb2.SessionSubscribe(run_ids=[run_id])))
    await api.runs.CancelRuns(run_service_pb2.CancelRunsRequest(run_ids=[run_id]))
    await session.result(run_id)
    await other.result(run_id)
    await other.close()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"submit": run_service_pb2.SessionSubmit()},
        {"subscribe": run_service_pb2.SessionSubscribe()},
        {"subscribe": run_service_pb2.SessionSubscribe(run_ids=["x"] * 1001)},
    ],
)
async def test_a_message_that_breaks_the_protocol_ends_the_stream(api: Door, message: dict[str, Any]) -> None:
    """It is not to be repeated."""
    session = Session(api)
    await session.ask(**message)
    assert await session.code() == grpc.StatusCode.INVALID_ARGUMENT
