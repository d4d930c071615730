"""Owns what both forms of a task share: how they are called here, and what makes one a workflow by itself."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, cast

from typing_extensions import TypeVar, override

from windlass.dependency import Injection
from windlass.exceptions import SyncCallOnLoop
from windlass.model_runnable import ModelRunnable
from windlass.parameters import where
from windlass.resolution import call_on_loop, call_on_thread, hop_to
from windlass.runnable import Runnable
from windlass.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings
    from windlass.resolution import Hop
    from windlass.signature import ModelForm, PlainForm
    from windlass.v1 import workflow_pb2

OutT = TypeVar("OutT")


class CallableTask(Task, Generic[OutT]):
    """A task of an app; its output is an `OutT`."""

    def __init__(
        self,
        app: Windlass,
        function: Callable[..., Any],
        form: ModelForm | PlainForm,
        settings: TaskSettings,
        workflow: WorkflowSettings,
    ) -> None:
        """Wrap `function`. Users write a decorator."""
        super().__init__(function, form, settings, workflow)
        self._app = app

    if not TYPE_CHECKING:  # a type checker knows what is there

        def __getattr__(self, name: str) -> Any:
            """Say of whom a run can be asked for, where it is not of this task."""
            if name in _OF_RUNS:
                raise AttributeError(
                    f"task {self.name!r} has no {name} of its own, it is executed by runs of its workflow "
                    f"{self.workflow.name!r}: use the workflow's, or in a test the task's mock_run"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @override
    def decode_output(self, output_json: bytes) -> OutT:
        """See Task."""
        return cast("OutT", super().decode_output(output_json))

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


#: What only those have that are run by themselves.
_OF_RUNS: Final = frozenset(name for of in (Runnable, ModelRunnable) for name in vars(of) if not name.startswith("_"))


class StandaloneTask(CallableTask[OutT], Runnable[OutT], Generic[OutT]):
    """A task that is a workflow by itself."""

    def __init__(
        self,
        app: Windlass,
        function: Callable[..., Any],
        form: ModelForm | PlainForm,
        settings: TaskSettings,
        workflow: WorkflowSettings,
    ) -> None:
        """Wrap `function`. Users write `@app.task`."""
        super().__init__(app, function, form, settings, workflow)
        self._cron_inputs = workflow.cron_inputs(self.write_input, self.place)

    @property
    @override
    def place(self) -> str:
        """See Runnable."""
        return where(self.function)

    @property
    @override
    def tasks(self) -> Sequence[Task]:
        """See Runnable."""
        return (self,)

    @override
    def definition(self) -> workflow_pb2.WorkflowDefinition:
        """See Runnable."""
        return self._definition

    @override
    def write_input(self, value: Any) -> bytes:
        """See Runnable."""
        return self.form.input.write_value(value)

    @cached_property
    def _definition(self) -> workflow_pb2.WorkflowDefinition:
        schema = self.form.input.schema_json()
        return self.workflow.to_proto([self.settings.to_proto()], schema, self._cron_inputs)


def run_here(call: Callable[[], Any], *, is_async: bool, name: str) -> Any:
    """Run a prepared call to its end in this thread."""
    if not is_async:
        return call()
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises, at thirty times the price
        raise SyncCallOnLoop(
            f"{name}.mock_run() cannot run an async task on a running loop: await {name}.aio_mock_run()"
        )
    return asyncio.run(call())
