"""Owns the way from an input that has been written to a run, and from its end back to a value.

Connections are the session's; what an input looks like is the task's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, cast

from windlass.batch import open_batch
from windlass.context import current
from windlass.cron import moment_ms
from windlass.duration import Duration, to_kept_milliseconds, to_milliseconds
from windlass.exceptions import InvalidInput, WindlassError
from windlass.idempotency import Idempotency, read_idempotency
from windlass.payload import check_size, write_metadata
from windlass.placement import DesiredWorkerLabels, StickyStrategy, read_placement
from windlass.priority import Priority
from windlass.retry import RetryPolicy
from windlass.transport.call import Call, Pending
from windlass.transport.io_thread import check_may_block
from windlass.transport.run_id import mint
from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass.waiting import aio_wait_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from windlass.batch import KeyedRun
    from windlass.transport.session import ClientSession


class SubmitOptions(TypedDict, total=False):
    """What a caller can say about a run.

    additional_metadata: key-value pairs kept with the run, at most 64 KiB of JSON.
    priority: in place of the task's default.
    retry: in place of the task's retry policy.
    delay: earliest start, as a duration from now.
    expires: ends the run CANCELLED when it has not started after this duration.
    queue: only workers that serve this queue get it.
    idempotency_key: one run for all submits with this key in 24 hours: where one with the same content is
        there, it is the one that this gives; with another content, AlreadyExists.
    idempotency: the same, saying for how long, and what is to be found. Not together with the key alone.
    sticky: True is the worker of the task that calls, as strictly as that task's own `sticky` says, SOFT
        where it says nothing; a strategy says it here, for `desired_worker_id` too.
    desired_worker_id: this worker; HARD unless `sticky` says SOFT.
    desired_worker_labels: in place of the task's labels of the same names.
    """

    additional_metadata: Mapping[str, Any] | None
    priority: Priority | None
    retry: RetryPolicy | None
    delay: Duration | None
    expires: Duration | None
    queue: str | None
    idempotency_key: str | None
    idempotency: Idempotency | None
    sticky: bool | StickyStrategy | None
    desired_worker_id: str | None
    desired_worker_labels: DesiredWorkerLabels | None


class RunOptions(SubmitOptions, total=False):
    """As SubmitOptions.

    timeout: how long the caller waits, as a duration; the run goes on.
    """

    timeout: Duration | None


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's options, checked and written as the contracts have them."""

    fields: dict[str, Any]
    timeout: float | None = None
    # Only inside a task.
    is_sticky: bool = False


def read_options(
    *,
    additional_metadata: Mapping[str, Any] | None = None,
    priority: Priority | None = None,
    retry: RetryPolicy | None = None,
    delay: Duration | None = None,
    expires: Duration | None = None,
    queue: str | None = None,
    idempotency_key: str | None = None,
    idempotency: Idempotency | None = None,
    sticky: bool | StickyStrategy | None = None,
    desired_worker_id: str | None = None,
    desired_worker_labels: DesiredWorkerLabels | None = None,
    timeout: Duration | None = None,
) -> Request:
    """Check options. Raises InvalidInput naming the one that is wrong; TypeError for unknown ones."""
    fields: dict[str, Any] = {}
    seconds = None
    try:
        if additional_metadata:
            fields["metadata_json"] = write_metadata(additional_metadata)
        if priority is not None:
            fields["priority"] = int(Priority(priority))
        if retry is not None:
            fields["retry"] = _policy(retry)
        fields |= _waits(delay, expires)
        if queue is not None:
            fields["queue"] = queue
        if asked := read_idempotency(idempotency_key, idempotency):
            fields["idempotency"] = asked
        placement = read_placement(sticky, desired_worker_id, desired_worker_labels)
        if placement is not None:
            fields["placement"] = placement
        if timeout is not None:
            seconds = to_milliseconds(timeout, "timeout") / 1000
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, WindlassError):
            raise
        raise InvalidInput(str(error)) from None
    return Request(fields, seconds, is_sticky=placement is not None and placement.sticky)


def _policy(retry: object) -> workflow_pb2.RetryPolicy:
    if not isinstance(retry, RetryPolicy):
        msg = f"retry takes a RetryPolicy, not {retry!r}"
        raise ValueError(msg)  # noqa: TRY004 - a wrong option is InvalidInput, whatever is wrong with it
    return retry.to_proto()


def _waits(delay: Duration | None, expires: Duration | None) -> dict[str, int]:
    waits: dict[str, int] = {}
    if delay is not None:
        waits["delay_ms"] = to_kept_milliseconds(delay, "delay")
    if expires is not None:
        waits["expires_ms"] = to_kept_milliseconds(expires, "expires")
        if 0 < waits["expires_ms"] <= waits.get("delay_ms", 0):
            msg = f"expires={expires!r}: more than delay={delay!r} was expected"
            raise ValueError(msg)
    return waits


def without_timeout(options: RunOptions) -> SubmitOptions:
    """Give what concerns the run alone: a bulk call has one timeout for all its items."""
    if options.get("timeout") is not None:
        raise TypeError("an item of run_many has no timeout of its own: give it to run_many")
    rest = dict(options)
    rest.pop("timeout", None)
    return cast("SubmitOptions", rest)


NO_OPTIONS = Request({})


@dataclass(frozen=True, slots=True)
class BulkRunItem:
    """One run of a `run_many`, its input checked and written. Made by `create_bulk_run_item`."""

    submission: run_service_pb2.RunSubmission


class Caller:
    """Submits runs of one workflow with given options, and waits for their ends."""

    __slots__ = ("_decode", "_definition", "_name", "_request", "_session")

    def __init__(
        self,
        session: ClientSession,
        name: str,
        definition: workflow_pb2.WorkflowDefinition | None,
        decode: Callable[[bytes], Any],
        request: Request = NO_OPTIONS,
    ) -> None:
        """Call the workflow `name`; `definition` is registered first where this process has it."""
        self._session = session
        self._name = name
        self._definition = definition
        self._decode = decode
        self._request = request

    def with_request(self, request: Request) -> Caller:
        """Give the same with other options."""
        return Caller(self._session, self._name, self._definition, self._decode, request)

    def at(self, run_at: datetime) -> Caller:
        """Give the same for runs that are to start at a time. Raises InvalidInput for one without a zone."""
        if "delay_ms" in self._request.fields:
            raise InvalidInput("delay: run_at= says when it starts: leave one of the two out", field="delay")
        fields = {**self._request.fields, "run_at_ms": moment_ms(run_at, "run_at")}
        return self.with_request(replace(self._request, fields=fields))

    def submission(self, payload: bytes) -> run_service_pb2.RunSubmission:
        """Write one run. Raises PayloadTooLarge."""
        if len(payload) > _CHECK_FROM:
            check_size(payload, f"input of task {self._name!r}")
        spec = run_pb2.RunSpec(workflow_name=self._name, input_json=payload, **self._request.fields)
        parent = current.get()
        if parent is not None:
            spec.parent_task_run_id = parent.task_run_id
        elif self._request.is_sticky:
            raise InvalidInput(f"sticky: {self._name!r} was to run where the task that calls it does, and none calls")
        return run_service_pb2.RunSubmission(run_id=mint(), spec=spec)

    def pending(self, submission: run_service_pb2.RunSubmission, call: Call, index: int, *, result: bool) -> Pending:
        """Name who waits for what."""
        return Pending(
            submission.run_id, call, index, submission=submission, definition=self._definition, wants_result=result
        )

    def run(self, payload: bytes) -> Any:
        """Submit, wait, give the output."""
        check_may_block(f"{self._name}.run", f"{self._name}.aio_run")
        item = self._one(payload, None, result=True)
        return self._decoded(self._wait([item], self._request.timeout)[0])

    async def aio_run(self, payload: bytes) -> Any:
        """Do as `run`."""
        item = self._one(payload, asyncio.get_running_loop(), result=True)
        return self._decoded((await self._aio_wait([item], self._request.timeout))[0])

    def submit(self, payload: bytes) -> str | KeyedRun:
        """Submit, wait until the engine has it, give the run's id; inside `app.batch()` do not wait."""
        batch = open_batch.get()
        if batch is not None and batch.session is self._session:
            return batch.add(self._gathered(payload), self._definition)
        check_may_block(f"{self._name}.delay", f"{self._name}.aio_delay")
        item = self._one(payload, None, result=False)
        self._raise_first(self._wait([item], self._request.timeout))
        return item.run_id

    async def aio_submit(self, payload: bytes) -> str:
        """Do as `submit`."""
        item = self._one(payload, asyncio.get_running_loop(), result=False)
        self._raise_first(await self._aio_wait([item], self._request.timeout))
        return item.run_id

    def run_many(self, items: Iterable[BulkRunItem], *, return_exceptions: bool) -> list[Any]:
        """Submit all, wait for all, give the outputs in order."""
        check_may_block(f"{self._name}.run_many", f"{self._name}.aio_run_many")
        pendings = self._many(items, None, result=True, fail_fast=not return_exceptions)
        return self._outputs(self._wait(pendings, self._request.timeout), return_exceptions=return_exceptions)

    async def aio_run_many(self, items: Iterable[BulkRunItem], *, return_exceptions: bool) -> list[Any]:
        """Do as `run_many`."""
        loop = asyncio.get_running_loop()
        pendings = self._many(items, loop, result=True, fail_fast=not return_exceptions)
        return self._outputs(await self._aio_wait(pendings, self._request.timeout), return_exceptions=return_exceptions)

    def submit_many(self, items: Iterable[BulkRunItem], *, return_exceptions: bool) -> list[str | WindlassError]:
        """Submit all, wait until the engine has them, give the runs' ids or why they were refused."""
        check_may_block(f"{self._name}.run_many", f"{self._name}.aio_run_many")
        pendings = self._many(items, None, result=False, fail_fast=False)
        answers = self._wait(pendings, self._request.timeout)
        return self._ids(pendings, answers, return_exceptions=return_exceptions)

    async def aio_submit_many(
        self, items: Iterable[BulkRunItem], *, return_exceptions: bool
    ) -> list[str | WindlassError]:
        """Do as `submit_many`."""
        pendings = self._many(items, asyncio.get_running_loop(), result=False, fail_fast=False)
        answers = await self._aio_wait(pendings, self._request.timeout)
        return self._ids(pendings, answers, return_exceptions=return_exceptions)

    def _one(self, payload: bytes, loop: asyncio.AbstractEventLoop | None, *, result: bool) -> Pending:
        return self._send([self.submission(payload)], Call(1, loop), result=result)[0]

    def _gathered(self, payload: bytes) -> run_service_pb2.RunSubmission:
        """Write one run that an open batch will send."""
        return self.submission(payload)

    def _many(
        self,
        items: Iterable[BulkRunItem],
        loop: asyncio.AbstractEventLoop | None,
        *,
        result: bool,
        fail_fast: bool,
    ) -> list[Pending]:
        submissions = [item.submission for item in items]
        call = Call(len(submissions), loop, fail_fast=fail_fast)
        return self._send(submissions, call, result=result)

    def _send(self, submissions: list[run_service_pb2.RunSubmission], call: Call, *, result: bool) -> list[Pending]:
        pendings = [self.pending(each, call, index, result=result) for index, each in enumerate(submissions)]
        if pendings:
            self._session.submit(pendings)
        return pendings

    def _wait(self, items: list[Pending], timeout: float | None) -> list[Any]:
        return wait_for(self._session, items, timeout)

    async def _aio_wait(self, items: list[Pending], timeout: float | None) -> list[Any]:
        return await aio_wait_for(self._session, items, timeout)

    def _decoded(self, answer: Any) -> Any:
        if isinstance(answer, WindlassError):
            raise answer
        return self._decode(answer.output_json)

    def _outputs(self, answers: list[Any], *, return_exceptions: bool) -> list[Any]:
        if not return_exceptions:
            self._raise_first(answers)
        return [each if isinstance(each, WindlassError) else self._decode(each.output_json) for each in answers]

    def _ids(self, items: list[Pending], answers: list[Any], *, return_exceptions: bool) -> list[str | WindlassError]:
        if not return_exceptions:
            self._raise_first(answers)
        return [
            answer if isinstance(answer, WindlassError) else item.run_id
            for item, answer in zip(items, answers, strict=True)
        ]

    def _raise_first(self, answers: list[Any]) -> None:
        for answer in answers:
            if isinstance(answer, WindlassError):
                raise answer


_CHECK_FROM = 512 * 1024
