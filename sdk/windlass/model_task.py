"""Owns how model-form tasks are called: `fn(input, ctx)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Unpack, cast, overload

from typing_extensions import TypeVar

from windlass.callable_task import CallableTask
from windlass.calling import BulkRunItem, RunOptions, SubmitOptions
from windlass.context import Context, mock_context
from windlass.payload import Codec, write_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from windlass.client import Windlass
    from windlass.refs import TaskRunRef
    from windlass.signature import ModelForm
    from windlass.task import TaskSettings

InT = TypeVar("InT")
OutT = TypeVar("OutT")
RetT = TypeVar("RetT", default=Any)

#: Stands for an input that was left out: every field has to have a default then.
NOTHING: Final[Any] = object()


class ModelTask(CallableTask[OutT], Generic[InT, OutT, RetT]):
    """A task `fn(input, ctx)`: takes an `InT`, gives an `OutT`."""

    def __init__(
        self, app: Windlass, function: Callable[[InT, Context], RetT], form: ModelForm, settings: TaskSettings
    ) -> None:
        """Wrap `function`. Users write `@app.task`."""
        super().__init__(app, function, form, settings)
        self._input: Codec = form.input

    def __call__(self, input: InT, ctx: Context | None = None, **dependencies: Any) -> RetT:
        """Run the function here, without the engine; without a `ctx` it gets a mocked one.

        Dependencies are opened, but for those that are given by name.
        """
        if self.injection is not None:
            text = self._write(input)
            context = ctx or mock_context(self.name, text)
            opened = self._injected(
                text, context, dependencies, call=lambda injected: self.function(input, context, **injected)
            )
            return cast("RetT", opened)
        result = self.function(input, ctx or mock_context(self.name, self._write(input)), **dependencies)
        return cast("RetT", result)

    @overload
    def run(
        self, input: InT = ..., *, wait_for_result: Literal[True] = True, **options: Unpack[RunOptions]
    ) -> OutT: ...
    @overload
    def run(
        self, input: InT = ..., *, wait_for_result: Literal[False], **options: Unpack[RunOptions]
    ) -> TaskRunRef[OutT]: ...
    def run(
        self,
        input: InT = NOTHING,
        *,
        wait_for_result: bool = True,
        **options: Unpack[RunOptions],
    ) -> OutT | TaskRunRef[OutT]:
        """Run it on a worker and wait for its output.

        Args:
            input: may be left out where every field has a default.
            wait_for_result: False only waits until the engine has the run, and gives a reference.
            options: see `RunOptions`.

        Raises:
            InvalidInput: the input does not fit; nothing was stored.
            TaskRunError: the run failed.
            RunCancelled: it was cancelled.
            ResultTimeout: it has not ended within `timeout`; it goes on.
            ApiUnreachable: no connection to the api within the connect timeout.

        """
        caller = self._caller(options)
        if wait_for_result:
            return cast("OutT", caller.run(self._write(input)))
        return self._ref(caller.submit(self._write(input)))

    @overload
    async def aio_run(
        self, input: InT = ..., *, wait_for_result: Literal[True] = True, **options: Unpack[RunOptions]
    ) -> OutT: ...
    @overload
    async def aio_run(
        self, input: InT = ..., *, wait_for_result: Literal[False], **options: Unpack[RunOptions]
    ) -> TaskRunRef[OutT]: ...
    async def aio_run(
        self,
        input: InT = NOTHING,
        *,
        wait_for_result: bool = True,
        **options: Unpack[RunOptions],
    ) -> OutT | TaskRunRef[OutT]:
        """Do as `run`, on the loop."""
        caller = self._caller(options)
        if wait_for_result:
            return cast("OutT", await caller.aio_run(self._write(input)))
        return self._ref(await caller.aio_submit(self._write(input)))

    def delay(self, input: InT = NOTHING, **options: Unpack[RunOptions]) -> TaskRunRef[OutT]:
        """Submit it; returns when the engine has it. Raises as `run` does."""
        return self._ref(self._caller(options).submit(self._write(input)))

    async def aio_delay(self, input: InT = NOTHING, **options: Unpack[RunOptions]) -> TaskRunRef[OutT]:
        """Do as `delay`, on the loop."""
        return self._ref(await self._caller(options).aio_submit(self._write(input)))

    def schedule(self, run_at: datetime, input: InT = NOTHING, **options: Unpack[SubmitOptions]) -> TaskRunRef[OutT]:
        """Submit it for a time; returns when the engine has it.

        Args:
            run_at: not before this time, of any time zone; one that has passed is at once.
            input: may be left out where every field has a default.
            options: see `SubmitOptions`; no delay.

        Raises:
            InvalidInput: the time has no zone, or the input does not fit; nothing was stored.
            ApiUnreachable: no connection to the api within the connect timeout.

        """
        return self._ref(self._caller(options).at(run_at).submit(self._write(input)))

    async def aio_schedule(
        self, run_at: datetime, input: InT = NOTHING, **options: Unpack[SubmitOptions]
    ) -> TaskRunRef[OutT]:
        """Do as `schedule`, on the loop."""
        return self._ref(await self._caller(options).at(run_at).aio_submit(self._write(input)))

    def create_bulk_run_item(self, input: InT = NOTHING, **options: Unpack[SubmitOptions]) -> BulkRunItem:
        """Prepare one run for `run_many`. Raises InvalidInput."""
        return BulkRunItem(self._caller(options).submission(self._write(input)))

    def options(self, **options: Unpack[RunOptions]) -> BoundModelTask[InT, OutT]:
        """Give the task with these options: `task.options(priority=Priority.HIGH).run(...)`."""
        return BoundModelTask(self, options)

    def mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> OutT:
        """Run it here, without the engine, with a mocked Context. For unit tests.

        Args:
            input: validated as a worker would.
            additional_metadata: what `ctx.additional_metadata` gives.
            retry_count: what `ctx.retry_count` gives.
            lifespan: what `ctx.lifespan` gives.
            dependencies: by the names of their parameters; those left out are opened.

        """
        mocked = self._mocked(input, additional_metadata, retry_count, lifespan)
        return cast("OutT", self._mock_run(*mocked, dependencies or {}))

    async def aio_mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> OutT:
        """Do as `mock_run`, on the loop; a sync function runs on a thread."""
        mocked = self._mocked(input, additional_metadata, retry_count, lifespan)
        return cast("OutT", await self._aio_mock_run(*mocked, dependencies or {}))

    def _mocked(
        self,
        input: InT,
        metadata: Mapping[str, Any] | None,
        retry_count: int,
        lifespan: Any,
    ) -> tuple[bytes, Context]:
        text = self._write(input)
        context = mock_context(
            self.name,
            text,
            metadata_json=write_metadata(metadata),
            retry_count=retry_count,
            max_attempts=self.settings.retry.max_attempts,
            lifespan=lifespan,
        )
        return text, context

    def _write(self, value: Any) -> bytes:
        return self._input.write_value({} if value is NOTHING else value)


class BoundModelTask(Generic[InT, OutT]):
    """A model-form task with options."""

    def __init__(self, task: ModelTask[InT, OutT, Any], options: RunOptions) -> None:
        """Check the options. Users write `task.options(...)`."""
        self._task = task
        self._bound: RunOptions = options
        task._caller(options)  # noqa: SLF001 - half of the same thing

    def run(self, input: InT = NOTHING) -> OutT:
        """Do as the task's `run`."""
        return self._task.run(input, **self._bound)

    async def aio_run(self, input: InT = NOTHING) -> OutT:
        """Do as the task's `aio_run`."""
        return await self._task.aio_run(input, **self._bound)

    def delay(self, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as the task's `delay`."""
        return self._task.delay(input, **self._bound)

    async def aio_delay(self, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as the task's `aio_delay`."""
        return await self._task.aio_delay(input, **self._bound)

    def schedule(self, run_at: datetime, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as the task's `schedule`."""
        return self._task.schedule(run_at, input, **without_timeout(self._bound))

    async def aio_schedule(self, run_at: datetime, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as the task's `aio_schedule`."""
        return await self._task.aio_schedule(run_at, input, **without_timeout(self._bound))

    def create_bulk_run_item(self, input: InT = NOTHING) -> BulkRunItem:
        """Do as the task's `create_bulk_run_item`."""
        return self._task.create_bulk_run_item(input, **without_timeout(self._bound))


def without_timeout(options: RunOptions) -> SubmitOptions:
    """Give what concerns the run alone: a bulk call has one timeout for all its items."""
    if options.get("timeout") is not None:
        raise TypeError("an item of run_many has no timeout of its own: give it to run_many")
    rest = dict(options)
    rest.pop("timeout", None)
    return cast("SubmitOptions", rest)
