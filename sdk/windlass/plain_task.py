"""Owns plain-form tasks, `fn(a, b)` or `fn(ctx, a, b)`: how they are called, here and from afar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Unpack, cast

from typing_extensions import TypeVar

from windlass.callable_task import CallableTask, StandaloneTask
from windlass.calling import BulkRunItem, RunOptions, without_timeout
from windlass.mock_context import mock_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from windlass.calling import Caller
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings
    from windlass.refs import TaskRunRef
    from windlass.signature import PlainForm

P = ParamSpec("P")
OutT = TypeVar("OutT")
RetT = TypeVar("RetT", default=Any)


class PlainFunction(CallableTask[OutT], Generic[P, OutT, RetT]):
    """A task with parameters `P`, Context apart; it gives an `OutT`."""

    def __init__(
        self,
        app: Windlass,
        function: Callable[..., RetT],
        form: PlainForm,
        settings: TaskSettings,
        workflow: WorkflowSettings,
    ) -> None:
        """Wrap `function`. Users write a decorator."""
        super().__init__(app, function, form, settings, workflow)
        self._fields = form.input
        self._takes_context = form.takes_context

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> RetT:
        """Run the function here, without the engine; its Context is a mocked one.

        Dependencies are opened, but for those that are given by name.
        """
        if self.injection is not None:
            return cast("RetT", self._call_injected(args, kwargs))
        if self._takes_context:
            context = mock_context(self, self._fields.encode(args, kwargs))
            return cast("RetT", self.function(context, *args, **kwargs))
        return cast("RetT", self.function(*args, **kwargs))

    def mock_run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Run it here, without the engine, its input validated as a worker would. For unit tests.

        Dependencies are opened, but for those that are given by name.
        """
        return cast("OutT", self._mock_run(*self._mocked(args, kwargs)))

    async def aio_mock_run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Do as `mock_run`, on the loop; a sync function runs on a thread."""
        return cast("OutT", await self._aio_mock_run(*self._mocked(args, kwargs)))

    def _mocked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, Context, dict[str, Any]]:
        given = self._take_given(kwargs)
        text = self._fields.encode(args, kwargs)
        return text, mock_context(self, text), given

    def _call_injected(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = self._take_given(kwargs)
        text = self._fields.encode(args, kwargs)
        context = mock_context(self, text)
        before = (context, *args) if self._takes_context else args
        return self._injected(text, context, given, call=lambda injected: self.function(*before, **kwargs, **injected))

    def _take_given(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        names = () if self.injection is None else self.injection.roots
        return {name: kwargs.pop(name) for name in names if name in kwargs}


class PlainTask(PlainFunction[P, OutT, RetT], StandaloneTask[OutT]):
    """A plain-form task that is a workflow by itself.

    Its calls take the function's own parameters and nothing else; options go through `options()`.
    """

    def run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Run it on a worker and wait for its output.

        Raises:
            TypeError: the function could not be called like that.
            InvalidInput: a value does not fit its annotation; nothing was stored.
            TaskRunError: the run failed.
            RunCancelled: it was cancelled.
            ApiUnreachable: no connection to the api within the connect timeout.

        """
        return cast("OutT", self._caller().run(self._fields.encode(args, kwargs)))

    async def aio_run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Do as `run`, on the loop."""
        return cast("OutT", await self._caller().aio_run(self._fields.encode(args, kwargs)))

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Submit it; returns when the engine has it. Raises as `run` does."""
        return self._ref(self._caller().submit(self._fields.encode(args, kwargs)))

    async def aio_delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as `delay`, on the loop."""
        return self._ref(await self._caller().aio_submit(self._fields.encode(args, kwargs)))

    def schedule(self, run_at: datetime, /, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Submit it for a time, of any time zone; one that has passed is at once.

        Raises:
            InvalidInput: the time has no zone, or a value does not fit its annotation; nothing was stored.
            TypeError: the function could not be called like that.
            ApiUnreachable: no connection to the api within the connect timeout.

        """
        return self._ref(self._caller().at(run_at).submit(self._fields.encode(args, kwargs)))

    async def aio_schedule(self, run_at: datetime, /, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as `schedule`, on the loop."""
        return self._ref(await self._caller().at(run_at).aio_submit(self._fields.encode(args, kwargs)))

    def create_bulk_run_item(self, *args: P.args, **kwargs: P.kwargs) -> BulkRunItem:
        """Prepare one run for `run_many`. Raises as `run` does."""
        return BulkRunItem(self._caller().submission(self._fields.encode(args, kwargs)))

    def options(self, **options: Unpack[RunOptions]) -> BoundPlainTask[P, OutT]:
        """Give the task with these options: `task.options(priority=Priority.HIGH).run(...)`."""
        return BoundPlainTask(self, options)


class BoundPlainTask(Generic[P, OutT]):
    """A plain-form task with options."""

    def __init__(self, task: PlainTask[P, OutT, Any], options: RunOptions) -> None:
        """Check the options. Users write `task.options(...)`."""
        self._task = task
        self._options: RunOptions = options
        self._caller: Caller = task._caller(options)  # noqa: SLF001 - half of the same thing
        self._fields = task._fields

    def run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Do as the task's `run`; raises ResultTimeout after `timeout`."""
        return cast("OutT", self._caller.run(self._fields.encode(args, kwargs)))

    async def aio_run(self, *args: P.args, **kwargs: P.kwargs) -> OutT:
        """Do as `run`, on the loop."""
        return cast("OutT", await self._caller.aio_run(self._fields.encode(args, kwargs)))

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as the task's `delay`."""
        return self._task._ref(self._caller.submit(self._fields.encode(args, kwargs)))  # noqa: SLF001 - half of the same thing

    async def aio_delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as `delay`, on the loop."""
        return self._task._ref(await self._caller.aio_submit(self._fields.encode(args, kwargs)))  # noqa: SLF001 - half of the same thing

    def schedule(self, run_at: datetime, /, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as the task's `schedule`."""
        return self._task._ref(self._caller.at(run_at).submit(self._fields.encode(args, kwargs)))  # noqa: SLF001 - half of the same thing

    async def aio_schedule(self, run_at: datetime, /, *args: P.args, **kwargs: P.kwargs) -> TaskRunRef[OutT]:
        """Do as `schedule`, on the loop."""
        return self._task._ref(await self._caller.at(run_at).aio_submit(self._fields.encode(args, kwargs)))  # noqa: SLF001 - half of the same thing

    def create_bulk_run_item(self, *args: P.args, **kwargs: P.kwargs) -> BulkRunItem:
        """Do as the task's `create_bulk_run_item`."""
        without_timeout(self._options)
        return BulkRunItem(self._caller.submission(self._fields.encode(args, kwargs)))
