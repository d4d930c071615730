"""Owns how what takes one whole input is called from afar: model-form tasks, and workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Unpack, cast, overload

from typing_extensions import TypeVar

from windlass.calling import BulkRunItem, RunOptions, SubmitOptions, without_timeout
from windlass.runnable import Runnable

if TYPE_CHECKING:
    from datetime import datetime

    from windlass.refs import TaskRunRef

InT = TypeVar("InT")
OutT = TypeVar("OutT")

#: Stands for an input that was left out: every field has to have a default then.
NOTHING: Final[Any] = object()


class ModelRunnable(Runnable[OutT], Generic[InT, OutT]):
    """Takes an `InT`, gives an `OutT`."""

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

    def options(self, **options: Unpack[RunOptions]) -> BoundModelRunnable[InT, OutT]:
        """Give the same with these options: `task.options(priority=Priority.HIGH).run(...)`."""
        return BoundModelRunnable(self, options)

    def _write(self, value: Any) -> bytes:
        return self.write_input({} if value is NOTHING else value)


class BoundModelRunnable(Generic[InT, OutT]):
    """The same with options."""

    def __init__(self, runnable: ModelRunnable[InT, OutT], options: RunOptions) -> None:
        """Check the options. Users write `task.options(...)`."""
        self._runnable = runnable
        self._bound: RunOptions = options
        runnable._caller(options)  # noqa: SLF001 - half of the same thing

    def run(self, input: InT = NOTHING) -> OutT:
        """Do as its `run`."""
        return self._runnable.run(input, **self._bound)

    async def aio_run(self, input: InT = NOTHING) -> OutT:
        """Do as its `aio_run`."""
        return await self._runnable.aio_run(input, **self._bound)

    def delay(self, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as its `delay`."""
        return self._runnable.delay(input, **self._bound)

    async def aio_delay(self, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as its `aio_delay`."""
        return await self._runnable.aio_delay(input, **self._bound)

    def schedule(self, run_at: datetime, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as its `schedule`."""
        return self._runnable.schedule(run_at, input, **without_timeout(self._bound))

    async def aio_schedule(self, run_at: datetime, input: InT = NOTHING) -> TaskRunRef[OutT]:
        """Do as its `aio_schedule`."""
        return await self._runnable.aio_schedule(run_at, input, **without_timeout(self._bound))

    def create_bulk_run_item(self, input: InT = NOTHING) -> BulkRunItem:
        """Do as its `create_bulk_run_item`."""
        return self._runnable.create_bulk_run_item(input, **without_timeout(self._bound))
