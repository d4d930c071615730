"""Owns what all that can be run by its name shares when it is called from afar: options, references, bulk runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack, cast, overload

from typing_extensions import TypeVar

from windlass.calling import BulkRunItem, Caller, RunOptions, SubmitOptions, read_options
from windlass.exceptions import WindlassError
from windlass.refs import TaskRunRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from windlass.batch import KeyedRun
    from windlass.client import Windlass
    from windlass.crons import CronInfo, CronOptions
    from windlass.definition import WorkflowSettings
    from windlass.duration import Duration
    from windlass.task import Task
    from windlass.v1 import workflow_pb2

OutT = TypeVar("OutT")


class Runnable(ABC, Generic[OutT]):
    """A workflow, or a task that is one by itself: its runs give an `OutT`."""

    name: str
    workflow: WorkflowSettings
    _app: Windlass
    _plain_caller: Caller | None = None

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it was defined, for errors."""

    @property
    @abstractmethod
    def tasks(self) -> Sequence[Task]:
        """What its runs execute."""

    @abstractmethod
    def definition(self) -> workflow_pb2.WorkflowDefinition:
        """Give its definition as the contracts have it. Built once; do not change it."""

    @abstractmethod
    def write_input(self, value: Any) -> bytes:
        """Validate and write an input that is given as a whole. Raises InvalidInput."""

    @abstractmethod
    def decode_output(self, output_json: bytes) -> OutT:
        """Read an output. Raises SerializationError where it does not fit."""

    @overload
    def run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[True] = True,
        return_exceptions: Literal[False] = False,
        timeout: Duration | None = None,
    ) -> list[OutT]: ...
    @overload
    def run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[True] = True,
        return_exceptions: Literal[True],
        timeout: Duration | None = None,
    ) -> list[OutT | WindlassError]: ...
    @overload
    def run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[False],
        return_exceptions: Literal[False] = False,
        timeout: Duration | None = None,
    ) -> list[TaskRunRef[OutT]]: ...
    @overload
    def run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[False],
        return_exceptions: Literal[True],
        timeout: Duration | None = None,
    ) -> list[TaskRunRef[OutT] | WindlassError]: ...
    def run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: bool = True,
        return_exceptions: bool = False,
        timeout: Duration | None = None,
    ) -> list[Any]:
        """Submit many runs in bulk; any number of them.

        Args:
            items: made by `create_bulk_run_item`.
            wait_for_result: False only waits until the engine has them, and gives references.
            return_exceptions: put errors into the list; else the first one is raised.
            timeout: how long to wait for all of them, as a duration.

        Returns:
            Outputs, or references, in the order of the items.

        """
        caller = self._many_caller(timeout)
        if wait_for_result:
            return caller.run_many(items, return_exceptions=return_exceptions)
        return self._refs(caller.submit_many(items, return_exceptions=return_exceptions))

    @overload
    async def aio_run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[True] = True,
        return_exceptions: Literal[False] = False,
        timeout: Duration | None = None,
    ) -> list[OutT]: ...
    @overload
    async def aio_run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[True] = True,
        return_exceptions: Literal[True],
        timeout: Duration | None = None,
    ) -> list[OutT | WindlassError]: ...
    @overload
    async def aio_run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[False],
        return_exceptions: Literal[False] = False,
        timeout: Duration | None = None,
    ) -> list[TaskRunRef[OutT]]: ...
    @overload
    async def aio_run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: Literal[False],
        return_exceptions: Literal[True],
        timeout: Duration | None = None,
    ) -> list[TaskRunRef[OutT] | WindlassError]: ...
    async def aio_run_many(
        self,
        items: Iterable[BulkRunItem],
        *,
        wait_for_result: bool = True,
        return_exceptions: bool = False,
        timeout: Duration | None = None,
    ) -> list[Any]:
        """Do as `run_many`, on the loop."""
        caller = self._many_caller(timeout)
        if wait_for_result:
            return await caller.aio_run_many(items, return_exceptions=return_exceptions)
        return self._refs(await caller.aio_submit_many(items, return_exceptions=return_exceptions))

    def create_cron(
        self, cron_name: str, expression: str, input: Any = None, timezone: str = "UTC", **how: Unpack[CronOptions]
    ) -> CronInfo:
        """Have it run again and again from now on. The same again gives the cron that is there.

        Args:
            cron_name: unique among its crons that were made by call.
            expression: five fields (minute hour day month weekday), six (second first), or an alias.
            input: of each run: the input, or a plain function's arguments as a list or a dict. May be left
                out where every field has a default.
            timezone: an IANA zone.
            how: see `CronOptions`.

        Raises:
            InvalidInput: names what is wrong; nothing was stored.
            AlreadyExists: the name belongs to a cron with another content.

        """
        return self._app.cron.create(self.name, cron_name, expression, input, timezone, **how)

    async def aio_create_cron(
        self, cron_name: str, expression: str, input: Any = None, timezone: str = "UTC", **how: Unpack[CronOptions]
    ) -> CronInfo:
        """Do as `create_cron`, on the loop."""
        return await self._app.cron.aio_create(self.name, cron_name, expression, input, timezone, **how)

    def _caller(self, options: RunOptions | SubmitOptions | None = None) -> Caller:
        caller = self._plain_caller
        if caller is None:
            caller = self._app._caller(self.name, self.definition(), self.decode_output)  # noqa: SLF001 - half of the same thing
            self._plain_caller = caller
        return caller.with_request(read_options(**cast("RunOptions", options))) if options else caller

    def _many_caller(self, timeout: Duration | None) -> Caller:
        return self._caller({"timeout": timeout} if timeout is not None else None)

    def _ref(self, run_id: str | KeyedRun) -> TaskRunRef[OutT]:
        app = self._app
        return TaskRunRef(app._session, app.runs, run_id, self.decode_output)  # noqa: SLF001 - half of the same thing

    def _refs(self, run_ids: list[str | WindlassError]) -> list[TaskRunRef[OutT] | WindlassError]:
        return [each if isinstance(each, WindlassError) else self._ref(each) for each in run_ids]
