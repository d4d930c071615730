"""Owns `app.workflow`: a workflow's task and its hooks, put together, and how it is run as one.

For now a workflow has one task, and at most one hook for each end. What executes a hook is a run of its own, which the
engine makes.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Unpack, overload

from pydantic_core import from_json
from typing_extensions import TypeVar, override

from windlass.empty_model import EmptyModel
from windlass.exceptions import DuplicateTask, InvalidTask
from windlass.mock_context import mock_context
from windlass.model_runnable import NOTHING, ModelRunnable
from windlass.parameters import where
from windlass.payload import Codec, write_metadata
from windlass.signature import codec_of, read_signature
from windlass.task_options import WorkflowOptions, read_workflow_options
from windlass.workflow_task import WorkflowTask, WorkflowTaskDecorator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import WorkflowSettings
    from windlass.signature import ModelForm, PlainForm
    from windlass.task import Task
    from windlass.v1 import workflow_pb2

InT = TypeVar("InT")

# The parts of a workflow, each named for the decorator that makes it.
_TASK: Final = "task"
_ON_FAILURE: Final = "on_failure_task"
_ON_SUCCESS: Final = "on_success_task"


class Workflow(ModelRunnable[InT, dict[str, Any]], Generic[InT]):
    """Takes an `InT`; its runs give the outputs of its tasks, by their names, as plain JSON values."""

    def __init__(self, app: Windlass, settings: WorkflowSettings, input_validator: Any, place: str) -> None:
        """Prepare one without tasks. Users write `app.workflow(...)`."""
        self._app = app
        self._place = place
        self._model = input_validator
        self._input: Codec | None = None
        if input_validator is not None:
            label = f"input of workflow {settings.name!r}"
            self._input = codec_of(place, input_validator, label, "input_validator")
        self._parts: dict[str, WorkflowTask] = {}
        self._cron_inputs: Sequence[bytes] = ()
        self._definition: workflow_pb2.WorkflowDefinition | None = None
        self.workflow = settings
        self.name = settings.name
        #: Decorators: of what it does, and of what follows the end of a run, failed for good or completed.
        self.task: Final = self._decorator(_TASK)
        self.on_failure_task: Final = self._decorator(_ON_FAILURE)
        self.on_success_task: Final = self._decorator(_ON_SUCCESS)

    @override
    def __repr__(self) -> str:
        return f"<workflow {self.name!r} at {self._place}>"

    @property
    @override
    def place(self) -> str:
        """See Runnable."""
        return self._place

    @property
    @override
    def tasks(self) -> Sequence[Task]:
        """Its task, and its hooks."""
        return list(self._parts.values())

    @override
    def definition(self) -> workflow_pb2.WorkflowDefinition:
        """See Runnable. From now on it takes no more hooks. Raises InvalidTask where it has no task."""
        if self._definition is None:
            task = self._main()
            schema = (self._input or task.form.input).schema_json()
            made = self.workflow.to_proto([task.settings.to_proto()], schema, self._cron_inputs)
            made.output_by_task = True
            if hook := self._parts.get(_ON_FAILURE):
                made.on_failure.CopyFrom(hook.settings.to_proto())
            if hook := self._parts.get(_ON_SUCCESS):
                made.on_success.CopyFrom(hook.settings.to_proto())
            self._definition = made
        return self._definition

    @override
    def write_input(self, value: Any) -> bytes:
        """See Runnable."""
        return (self._input or self._main().form.input).write_value(value)

    @override
    def decode_output(self, output_json: bytes) -> dict[str, Any]:
        """Read the outputs of its tasks, by their names."""
        return dict(from_json(output_json or b"{}"))

    def mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run its task here, without the engine, with a mocked Context; no hook. For unit tests.

        Args:
            input: validated as a worker would.
            additional_metadata: what `ctx.additional_metadata` gives.
            retry_count: what `ctx.retry_count` gives.
            lifespan: what `ctx.lifespan` gives.
            dependencies: by the names of their parameters; those left out are opened.

        """
        task, text, context = self._mocked(input, additional_metadata, retry_count, lifespan)
        return _by_name(task, task._mock_run(text, context, dependencies or {}))  # noqa: SLF001 - its own part

    async def aio_mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Do as `mock_run`, on the loop; a sync function runs on a thread."""
        task, text, context = self._mocked(input, additional_metadata, retry_count, lifespan)
        return _by_name(task, await task._aio_mock_run(text, context, dependencies or {}))  # noqa: SLF001 - its own part

    def _mocked(
        self, input: InT, metadata: Mapping[str, Any] | None, retry_count: int, lifespan: Any
    ) -> tuple[WorkflowTask, bytes, Context]:
        task, text, metadata_json = self._main(), self._write(input), write_metadata(metadata)
        context = mock_context(task, text, metadata_json=metadata_json, retry_count=retry_count, lifespan=lifespan)
        return task, text, context

    def _main(self) -> WorkflowTask:
        task = self._parts.get(_TASK)
        if task is None:
            raise InvalidTask(
                f"{self._place}: workflow {self.name!r} has no task: one function decorated with its .task was expected"
            )
        return task

    def _decorator(self, part: str) -> WorkflowTaskDecorator:
        return WorkflowTaskDecorator(self._app, self.workflow, partial(self._read_form, part), partial(self._add, part))

    def _read_form(
        self, part: str, function: Callable[..., Any], name: str, local_names: Mapping[str, Any]
    ) -> ModelForm | PlainForm:
        model = self._model
        if model is None:
            # Whoever submits gives what the task takes; a hook that does not say what it takes is given all of it.
            model = EmptyModel if part == _TASK else Any
        alone = part == _TASK and self._model is None
        return read_signature(function, name, None, local_names, model, other_fields="forbid" if alone else "ignore")

    def _add(self, part: str, task: WorkflowTask) -> None:
        if self._definition is not None:
            raise InvalidTask(
                f"{where(task.function)}: workflow {self.name!r} has been run or served already: its tasks and hooks "
                "were expected before"
            )
        if (known := self._parts.get(part)) is not None:
            what = "task: for now a workflow takes one" if part == _TASK else f"{part}, and takes one"
            raise InvalidTask(
                f"{where(task.function)}: workflow {self.name!r} has its {what}, and that is {known.name!r} at "
                f"{where(known.function)}"
            )
        for other in self._parts.values():
            if other.name == task.name:
                raise DuplicateTask(
                    f"two functions are named {task.name!r} in workflow {self.name!r}: {where(other.function)} and "
                    f"{where(task.function)}. Give one of them another name="
                )
        if part == _TASK:
            write = (self._input or task.form.input).write_value
            self._cron_inputs = self.workflow.cron_inputs(write, self._place)
        self._parts[part] = task


class WorkflowMaker:
    """`app.workflow`."""

    def __init__(self, app: Windlass) -> None:
        """Make workflows of `app`."""
        self._app = app

    @overload
    def __call__(
        self, *, name: str, input_validator: type[InT], **options: Unpack[WorkflowOptions]
    ) -> Workflow[InT]: ...
    @overload
    def __call__(
        self, *, name: str, input_validator: None = None, **options: Unpack[WorkflowOptions]
    ) -> Workflow[Any]: ...
    def __call__(self, *, name: str, input_validator: Any = None, **options: Any) -> Workflow[Any]:
        """Make a workflow; its decorators `task`, `on_failure_task` and `on_success_task` give it what it does.

        Args:
            name: unique among tasks and workflows; letters, digits and ._:/-
            input_validator: the type of its input; left out, what its task takes.
            options: see `WorkflowOptions`.

        Raises:
            InvalidTask: a parameter is wrong; says where it stands.
            DuplicateTask: another task or workflow has its name.

        """
        frame = sys._getframe(1)  # noqa: SLF001 - its documented name
        place = f"{frame.f_code.co_filename}:{frame.f_lineno} (workflow {name!r})"
        settings = read_workflow_options(name, place, **options)
        if any(each.level != "workflow" for each in settings.concurrency):
            raise InvalidTask(
                f'{place}: concurrency: level="workflow" was expected; what bounds attempts is its task\'s'
            )
        workflow: Workflow[Any] = Workflow(self._app, settings, input_validator, place)
        self._app._register(workflow)  # noqa: SLF001 - half of the same thing
        return workflow


def _by_name(task: WorkflowTask, output: Any) -> dict[str, Any]:
    return {task.name: from_json(task.encode_output(output))}
