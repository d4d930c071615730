"""Owns the decorators of a workflow, `@wf.task` and its hooks: the types of what they make of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, assert_never, overload

from windlass.exceptions import InvalidTask
from windlass.model_task import ModelFunction
from windlass.parameters import where
from windlass.plain_task import PlainFunction
from windlass.signature import ModelForm, PlainForm
from windlass.task_options import WorkflowTaskOptions, read_task_options

if TYPE_CHECKING:
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings

P = ParamSpec("P")
InT = TypeVar("InT")
OutT = TypeVar("OutT")

_Co = Coroutine[Any, Any, OutT]
WorkflowTask = ModelFunction[Any, Any, Any] | PlainFunction[..., Any, Any]


class WorkflowTaskDecorator:
    """A decorator of a workflow, bare or with parameters."""

    def __init__(
        self,
        app: Windlass,
        workflow: WorkflowSettings,
        read_form: Callable[[Callable[..., Any], str, Mapping[str, Any]], ModelForm | PlainForm],
        add: Callable[[WorkflowTask], None],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make tasks of `workflow`, with these parameters, and `add` them to it. Users write `@wf.task`."""
        self._app = app
        self._workflow = workflow
        self._read_form = read_form
        self._add = add
        self._prepare = read_task_options(**(options or {}))

    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], _Co[OutT]], /
    ) -> ModelFunction[InT, OutT, _Co[OutT]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits decides, as at run time
        self, function: Callable[Concatenate[InT, Context, ...], OutT], /
    ) -> ModelFunction[InT, OutT, OutT]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], _Co[OutT]], /
    ) -> PlainFunction[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], OutT], /) -> PlainFunction[P, OutT, OutT]: ...
    @overload
    def __call__(self, function: Callable[P, _Co[OutT]], /) -> PlainFunction[P, OutT, _Co[OutT]]: ...
    @overload
    def __call__(self, function: Callable[P, OutT], /) -> PlainFunction[P, OutT, OutT]: ...
    @overload
    def __call__(self, **options: Unpack[WorkflowTaskOptions]) -> Self: ...
    def __call__(  # type: ignore[misc] # mypy does not match Unpack with **options
        self, function: Callable[..., Any] | None = None, /, **options: Any
    ) -> Any:
        """Make a task of a function, or give the decorator with parameters.

        The task is run by its workflow; it can be called, and has mock_run and aio_mock_run.

        Args:
            function: the function, where the decorator stands without parentheses.
            options: see `WorkflowTaskOptions`.

        Raises:
            InvalidTask: the function cannot be a task; says where it stands and how it should read. Or the
                workflow has such a task, or has been run or served already.
            DuplicateTask: another task of the workflow has its name.

        """
        if function is None:
            return type(self)(self._app, self._workflow, self._read_form, self._add, options)
        if not callable(function):
            raise InvalidTask(
                f"workflow {self._workflow.name!r} takes a task's parameters by keyword, not {function!r}"
            )
        settings = self._prepare(function)
        _check_levels(function, settings)
        # String annotations may name what is local to the caller.
        form = self._read_form(function, settings.name, sys._getframe(1).f_locals)  # noqa: SLF001 - its documented name
        task: WorkflowTask
        match form:
            case ModelForm():
                task = ModelFunction(self._app, function, form, settings, self._workflow)
            case PlainForm():
                task = PlainFunction(self._app, function, form, settings, self._workflow)
            case _ as unreachable:
                assert_never(unreachable)
        self._add(task)
        return task


def _check_levels(function: Callable[..., Any], settings: TaskSettings) -> None:
    if any(each.level != "task" for each in settings.concurrency):
        raise InvalidTask(
            f'{where(function)}: concurrency: of a workflow\'s task level="task" was expected; what bounds whole runs '
            "is given to app.workflow"
        )
