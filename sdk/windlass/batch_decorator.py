"""Owns `@app.batch_task`: its parameters, and the types of what it makes of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, TypeVar, Unpack, overload

from windlass.batch_signature import read_batch_signature
from windlass.batch_task import Batching, BatchTask, GroupKey
from windlass.exceptions import InvalidTask
from windlass.task_options import TaskOptions, read_standalone_options

if TYPE_CHECKING:
    from windlass.client import Windlass
    from windlass.duration import Duration

InT = TypeVar("InT")
OutT = TypeVar("OutT")

_Outputs = Sequence[OutT | BaseException] | None
_Co = Coroutine[Any, Any, OutT]


class BatchOptions(TaskOptions, total=False):
    """The parameters of `@app.batch_task`, all by keyword: those of `@app.task` and three more.

    batch_max_size: inputs of one call at the most, 1 to 100,000; 100 unless given.
    batch_max_interval: how long the first input waits for others, as a duration; "500ms" unless given.
    batch_group_key: the name of an input's field, or a function of an input: a call has inputs of one group.
    """

    batch_max_size: int
    batch_max_interval: Duration
    batch_group_key: GroupKey | None


class MakesBatchTask(Protocol):
    """What `@app.batch_task(...)` gives: takes the function."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Co[None]], /
    ) -> BatchTask[InT, None, _Co[None]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Co[_Outputs[OutT]]], /
    ) -> BatchTask[InT, OutT, _Co[_Outputs[OutT]]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[list[InT], ...], None], /) -> BatchTask[InT, None, None]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Outputs[OutT]], /
    ) -> BatchTask[InT, OutT, _Outputs[OutT]]: ...


class BatchTaskDecorator:
    """`@app.batch_task`, bare or with parameters."""

    def __init__(self, app: Windlass) -> None:
        """Make tasks of `app`."""
        self._app = app

    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Co[None]], /
    ) -> BatchTask[InT, None, _Co[None]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Co[_Outputs[OutT]]], /
    ) -> BatchTask[InT, OutT, _Co[_Outputs[OutT]]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[list[InT], ...], None], /) -> BatchTask[InT, None, None]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[InT], ...], _Outputs[OutT]], /
    ) -> BatchTask[InT, OutT, _Outputs[OutT]]: ...
    @overload
    def __call__(self, *, input_validator: Any = None, **options: Unpack[BatchOptions]) -> MakesBatchTask: ...
    def __call__(  # type: ignore[misc] # mypy does not match Unpack with **options
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        input_validator: Any = None,
        batch_max_size: int = 100,
        batch_max_interval: Duration = "500ms",
        batch_group_key: GroupKey | None = None,
        **options: Any,
    ) -> Any:
        """Make a batch task of a function `fn(inputs)` or `fn(inputs, ctx: BatchContext)`, or give what does.

        It is called with one input, as any task, and gives that input's own output. A worker gathers what it has of
        the task and calls the function with a list of inputs; it returns as many outputs, in their order, or
        None: nothing for all. What it raises fails each run, which is tried again by its own policy; an exception
        in an output's place fails that run alone.

        Args:
            function: the function, where the decorator stands without parentheses.
            input_validator: the type of one input; else what the list is annotated with.
            batch_max_size: see `BatchOptions`, as for the others.
            batch_max_interval: zero takes what is there.
            batch_group_key: None has all in one group.
            options: those of `app.task`; `execution_timeout` is the call's.

        Raises:
            InvalidTask: the function cannot be one; says where it stands and how it should read.
            DuplicateTask: another function has its name.

        """
        prepare = read_standalone_options(**options)
        batching = Batching(max_size=batch_max_size, max_interval=batch_max_interval, group_key=batch_group_key)

        def make(function: Callable[..., Any], local_names: Mapping[str, Any] | None = None) -> BatchTask[Any, Any]:
            # String annotations may name what is local to the caller.
            names = sys._getframe(1).f_locals if local_names is None else local_names  # noqa: SLF001 - its documented name
            settings, workflow = prepare(function)
            form = read_batch_signature(function, settings.name, input_validator, names)
            task: BatchTask[Any, Any] = BatchTask(self._app, function, form, settings, workflow, batching)
            self._app._register(task)  # noqa: SLF001 - half of the same thing
            return task

        if function is None:
            return make
        if not callable(function):
            raise InvalidTask(f"app.batch_task takes its parameters by keyword, not {function!r}")
        return make(function, sys._getframe(1).f_locals)  # noqa: SLF001 - its documented name
