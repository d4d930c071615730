"""Owns model-form tasks, `fn(input, ctx)`: how they are called here, and those that are run by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import TypeVar

from windlass.callable_task import CallableTask, StandaloneTask
from windlass.mock_context import mock_context, mock_hook
from windlass.model_runnable import NOTHING, ModelRunnable
from windlass.payload import write_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.context import Context
    from windlass.other_task import OtherTask
    from windlass.v1 import run_pb2

InT = TypeVar("InT")
OutT = TypeVar("OutT")
RetT = TypeVar("RetT", default=Any)


class ModelFunction(CallableTask[OutT], Generic[InT, OutT, RetT]):
    """A task `fn(input, ctx)`: takes an `InT`, gives an `OutT`."""

    def __call__(self, input: InT, ctx: Context | None = None, **dependencies: Any) -> RetT:
        """Run the function here, without the engine; without a `ctx` it gets a mocked one.

        Dependencies are opened, but for those that are given by name.
        """
        if self.injection is not None:
            text = self._write(input)
            context = ctx or mock_context(self, text)
            opened = self._injected(
                text, context, dependencies, call=lambda injected: self.function(input, context, **injected)
            )
            return cast("RetT", opened)
        result = self.function(input, ctx or mock_context(self, self._write(input)), **dependencies)
        return cast("RetT", result)

    def mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
        parent_outputs: Mapping[OtherTask[Any] | str, Any] | None = None,
        task_run_errors: Mapping[OtherTask[Any] | str, BaseException] | None = None,
    ) -> OutT:
        """Run it here, without the engine, with a mocked Context. For unit tests.

        Args:
            input: validated as a worker would.
            additional_metadata: what `ctx.additional_metadata` gives.
            retry_count: what `ctx.retry_count` gives.
            lifespan: what `ctx.lifespan` gives.
            dependencies: by the names of their parameters; those left out are opened.
            parent_outputs: what `ctx.task_output` gives in a hook, by task or its name.
            task_run_errors: what `ctx.task_run_errors` gives in a hook, by task or its name.

        """
        hook = mock_hook(parent_outputs, task_run_errors)
        mocked = self._mocked(input, additional_metadata, retry_count, lifespan, hook)
        return cast("OutT", self._mock_run(*mocked, dependencies or {}))

    async def aio_mock_run(
        self,
        input: InT = NOTHING,
        *,
        additional_metadata: Mapping[str, Any] | None = None,
        retry_count: int = 0,
        lifespan: Any = None,
        dependencies: Mapping[str, Any] | None = None,
        parent_outputs: Mapping[OtherTask[Any] | str, Any] | None = None,
        task_run_errors: Mapping[OtherTask[Any] | str, BaseException] | None = None,
    ) -> OutT:
        """Do as `mock_run`, on the loop; a sync function runs on a thread."""
        hook = mock_hook(parent_outputs, task_run_errors)
        mocked = self._mocked(input, additional_metadata, retry_count, lifespan, hook)
        return cast("OutT", await self._aio_mock_run(*mocked, dependencies or {}))

    def _mocked(
        self,
        input: InT,
        metadata: Mapping[str, Any] | None,
        retry_count: int,
        lifespan: Any,
        hook: run_pb2.Hook | None,
    ) -> tuple[bytes, Context]:
        text = self._write(input)
        metadata_json = write_metadata(metadata)
        context = mock_context(
            self, text, metadata_json=metadata_json, retry_count=retry_count, lifespan=lifespan, hook=hook
        )
        return text, context

    def _write(self, value: Any) -> bytes:
        return self.form.input.write_value({} if value is NOTHING else value)


class ModelTask(ModelFunction[InT, OutT, RetT], ModelRunnable[InT, OutT], StandaloneTask[OutT]):
    """A task `fn(input, ctx)` that is a workflow by itself. Users write `@app.task`."""
