"""Owns `@app.task`: the types of what it makes of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    assert_never,
    overload,
)

from windlass.exceptions import InvalidTask
from windlass.model_task import ModelTask
from windlass.plain_task import PlainTask
from windlass.signature import ModelForm, PlainForm, read_signature
from windlass.task_options import TaskOptions, read_standalone_options

if TYPE_CHECKING:
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings

P = ParamSpec("P")
InT = TypeVar("InT")
OutT = TypeVar("OutT")

_Co = Coroutine[Any, Any, OutT]


class MakesTask(Protocol):
    """What `@app.task(...)` gives: takes the function."""

    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], _Co[OutT]], /
    ) -> ModelTask[InT, OutT, _Co[OutT]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], OutT], /
    ) -> ModelTask[InT, OutT, OutT]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], _Co[OutT]], /) -> PlainTask[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], OutT], /) -> PlainTask[P, OutT, OutT]: ...
    @overload
    def __call__(self, function: Callable[P, _Co[OutT]], /) -> PlainTask[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[P, OutT], /) -> PlainTask[P, OutT, OutT]: ...


class MakesModelTask(Protocol, Generic[InT]):
    """What `@app.task(input_validator=...)` gives: takes a model-form function."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[InT, Context, ...], _Co[OutT]], /
    ) -> ModelTask[InT, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[InT, Context, ...], OutT], /) -> ModelTask[InT, OutT, OutT]: ...


class TaskDecorator:
    """`@app.task`, bare or with parameters."""

    def __init__(self, app: Windlass) -> None:
        """Make tasks of `app`."""
        self._app = app

    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], _Co[OutT]], /
    ) -> ModelTask[InT, OutT, _Co[OutT]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], OutT], /
    ) -> ModelTask[InT, OutT, OutT]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], _Co[OutT]], /) -> PlainTask[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], OutT], /) -> PlainTask[P, OutT, OutT]: ...
    @overload
    def __call__(self, function: Callable[P, _Co[OutT]], /) -> PlainTask[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[P, OutT], /) -> PlainTask[P, OutT, OutT]: ...
    @overload
    def __call__(self, *, input_validator: type[InT], **options: Unpack[TaskOptions]) -> MakesModelTask[InT]: ...
    @overload
    def __call__(self, *, input_validator: None = None, **options: Unpack[TaskOptions]) -> MakesTask: ...
    def __call__(  # type: ignore[misc] # mypy does not match Unpack with **options
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        input_validator: Any = None,
        **options: Any,
    ) -> Any:
        """Make a task of a function, or give what does.

        Args:
            function: the function, where the decorator stands without parentheses.
            input_validator: the input's type; forces the model form.
            options: see `TaskOptions`.

        Raises:
            InvalidTask: the function cannot be a task; says where it stands and how it should read.
            DuplicateTask: another function has its name.

        """
        prepare = read_standalone_options(**options)

        def make(function: Callable[..., Any]) -> ModelTask[Any, Any] | PlainTask[..., Any]:
            # String annotations may name what is local to the caller.
            return self._make(function, input_validator, prepare, sys._getframe(1).f_locals)  # noqa: SLF001 - string annotations may name the caller's locals

        if function is None:
            return make
        if not callable(function):
            raise InvalidTask(f"app.task takes its parameters by keyword, not {function!r}")
        return self._make(function, input_validator, prepare, sys._getframe(1).f_locals)  # noqa: SLF001 - string annotations may name the caller's locals

    def _make(
        self,
        function: Callable[..., Any],
        input_validator: Any,
        prepare: Callable[[Callable[..., Any]], tuple[TaskSettings, WorkflowSettings]],
        local_names: Mapping[str, Any],
    ) -> ModelTask[Any, Any] | PlainTask[..., Any]:
        settings, workflow = prepare(function)
        form = read_signature(function, settings.name, input_validator, local_names)
        task: ModelTask[Any, Any] | PlainTask[..., Any]
        match form:
            case ModelForm():
                task = ModelTask(self._app, function, form, settings, workflow)
            case PlainForm():
                task = PlainTask(self._app, function, form, settings, workflow)
            case _ as unreachable:
                assert_never(unreachable)
        self._app._register(task)  # noqa: SLF001 - half of the same thing
        return task
