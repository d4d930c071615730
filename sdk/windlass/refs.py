"""Owns the references to submitted runs: ask how one stands, wait for it, cancel it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typing_extensions import override

from windlass.duration import Duration, to_milliseconds
from windlass.exceptions import WindlassError
from windlass.transport.call import Call, Pending
from windlass.transport.io_thread import check_may_block
from windlass.waiting import aio_wait_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.batch import KeyedRun
    from windlass.runs import RunsClient
    from windlass.status import RunStatus
    from windlass.transport.session import ClientSession

OutT = TypeVar("OutT", covariant=True)  # noqa: PLC0105 - exported under this name


class WorkflowRunRef(Generic[OutT]):
    """A submitted run."""

    def __init__(
        self, session: ClientSession, runs: RunsClient, run_id: str | KeyedRun, decode: Callable[[bytes], OutT]
    ) -> None:
        """Point at a run; `decode` reads its output."""
        self._session = session
        self._runs = runs
        self._run = run_id
        self._decode = decode
        self._answer: Any = None

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkflowRunRef) and other.id == self.id

    @override
    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Id of the run, a UUIDv7. In a batch a run with an idempotency key may get another one at its end."""
        run = self._run
        return run if isinstance(run, str) else run.run_id

    @property
    def workflow_run_id(self) -> str:
        """Id of the run: the same as `id`."""
        return self.id

    def status(self) -> RunStatus:
        """Ask how it stands. Raises UnknownRun, ApiUnreachable."""
        return self._runs.get_status(self.id)

    async def aio_status(self) -> RunStatus:
        """Do as `status`."""
        return await self._runs.aio_get_status(self.id)

    def result(self, timeout: Duration | None = None) -> OutT:
        """Wait for its end and give its output.

        Args:
            timeout: how long to wait, as a duration; None waits for ever.

        Raises:
            ResultTimeout: it has not ended by then; it goes on.
            TaskRunError: it failed.
            RunCancelled: it was cancelled.
            UnknownRun: the engine has no such run (any more).

        """
        check_may_block("result", "aio_result")
        if self._answer is None:
            items = [self._watch(None)]
            self._answer = wait_for(self._session, items, _seconds(timeout))[0]
        return self._read()

    async def aio_result(self, timeout: Duration | None = None) -> OutT:
        """Do as `result`."""
        if self._answer is None:
            items = [self._watch(asyncio.get_running_loop())]
            self._answer = (await aio_wait_for(self._session, items, _seconds(timeout)))[0]
        return self._read()

    def cancel(self, reason: str = "") -> bool:
        """Cancel it. Gives False where it had ended before."""
        return self._runs.cancel(self.id, reason=reason)

    async def aio_cancel(self, reason: str = "") -> bool:
        """Do as `cancel`."""
        return await self._runs.aio_cancel(self.id, reason=reason)

    def _watch(self, loop: asyncio.AbstractEventLoop | None) -> Pending:
        item = Pending(self.id, Call(1, loop), 0, submission=None, definition=None, wants_result=True)
        self._session.watch([item])
        return item

    def _read(self) -> OutT:
        if isinstance(self._answer, WindlassError):
            raise self._answer
        return self._decode(self._answer.output_json)


class TaskRunRef(WorkflowRunRef[OutT]):
    """A submitted run of a task: its result has the task's return type."""


def _seconds(timeout: Duration | None) -> float | None:
    return None if timeout is None else to_milliseconds(timeout, "timeout") / 1000
