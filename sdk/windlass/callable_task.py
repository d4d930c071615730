"""Owns what both forms of a task share when they are called from afar: options, references, bulk runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack, cast, overload

from typing_extensions import TypeVar

from windlass.calling import BulkRunItem, Caller, RunOptions, SubmitOptions, read_options
from windlass.dependency import Injection
from windlass.exceptions import SyncCallOnLoop, WindlassError
from windlass.refs import TaskRunRef
from windlass.resolution import call_on_loop, call_on_thread, hop_to
from windlass.task import Task, TaskSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from windlass.batch import KeyedRun
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.crons import CronInfo, CronOptions
    from windlass.duration import Duration
    from windlass.resolution import Hop
    from windlass.signature import ModelForm, PlainForm

OutT = TypeVar("OutT")


class CallableTask(Task, Generic[OutT]):
    """A task of an app; its output is an `OutT`."""

    def __init__(
        self, app: Windlass, function: Callable[..., Any], form: ModelForm | PlainForm, settings: TaskSettings
    ) -> None:
        """Wrap `function`. Users write `@app.task`."""
        super().__init__(function, form, settings)
        self._app = app
        self._plain_caller: Caller | None = None

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
            cron_name: unique among the task's crons that were made by call.
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

    def _mock_run(self, text: bytes, context: Context, given: Mapping[str, Any]) -> Any:
        """Run a mocked attempt to its end in this thread."""
        if self.injection is None and not given:
            return run_here(self.prepare(text, context), is_async=self.is_async, name=self.name)
        return run_here(lambda: self._injected(text, context, given), is_async=self.is_async, name=self.name)

    async def _aio_mock_run(self, text: bytes, context: Context, given: Mapping[str, Any]) -> Any:
        call: Callable[[], Any]
        if self.injection is None and not given:
            call = self.prepare(text, context)
        else:
            hop = hop_to(asyncio.get_running_loop(), lambda _: None)
            call = lambda: self._injected(text, context, given, hop)  # noqa: E731 - the other of two
        return await (call() if self.is_async else asyncio.to_thread(call))

    def _injected(
        self,
        text: bytes,
        context: Context,
        given: Mapping[str, Any],
        hop: Hop | None = None,
        call: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> Any:
        """Call the function here, with its dependencies; gives a coroutine where it is async.

        Args:
            text: its input.
            context: a mocked one.
            given: dependencies that need not be opened.
            hop: where async dependencies of a sync function run; left out, on a loop of their own.
            call: takes the other dependencies; left out, the function with the input.

        """
        injection = self.injection or Injection({}, None)
        value, prepared = self.prepare_injected(text, context)
        plan = injection.plan(self._app.dependency_overrides, given)
        target = call or prepared

        def call_with(opened: Mapping[str, Any]) -> Any:
            return target({**given, **opened})

        if self.is_async:
            return call_on_loop(plan, context, value, call_with)
        if hop is not None or not plan.needs_loop:
            return call_on_thread(plan, context, value, call_with, hop or asyncio.run)
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises, at thirty times the price
            raise SyncCallOnLoop(
                f"{self.name} has async dependencies, which cannot run here while a loop runs in this thread: "
                f"await {self.name}.aio_mock_run()"
            )
        with asyncio.Runner() as runner:
            return call_on_thread(plan, context, value, call_with, runner.run)


def run_here(call: Callable[[], Any], *, is_async: bool, name: str) -> Any:
    """Run a prepared call to its end in this thread."""
    if not is_async:
        return call()
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises, at thirty times the price
        raise SyncCallOnLoop(
            f"{name}.mock_run() cannot run an async task on a running loop: await {name}.aio_mock_run()"
        )
    return asyncio.run(call())
