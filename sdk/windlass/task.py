"""Owns a task: the way from a JSON input to its function and back to a JSON output.

What its definition says is `definition`'s; how it is called, here and from afar, `model_task`'s and
`plain_task`'s; executing attempts is the worker's.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Final, assert_never

from typing_extensions import override

from windlass.exceptions import InvalidInput, InvalidTask, SerializationError
from windlass.parameters import where
from windlass.payload import check_size
from windlass.signature import ModelForm, PlainForm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings


class Task:
    """A function that workers execute, as a task of a workflow. `task(...)` runs it here."""

    #: Its attempts wait for others, to be executed with one call: they have to be in one process.
    gathers: ClassVar[bool] = False

    def __init__(
        self,
        function: Callable[..., Any],
        form: ModelForm | PlainForm,
        settings: TaskSettings,
        workflow: WorkflowSettings,
    ) -> None:
        """Wrap `function`, whose signature has been read, as a task of `workflow`. Users write `@app.task`."""
        self.function = function
        self.name = settings.name
        self.is_async: Final = inspect.iscoroutinefunction(function)
        self.executor: Final = settings.executor or ("async" if self.is_async else "thread")
        self.settings: Final = settings
        self.workflow = workflow
        self.form: Final = form
        self.injection: Final = form.injection
        self._check_settings()
        self.__name__ = getattr(function, "__name__", settings.name)
        self.__qualname__ = getattr(function, "__qualname__", settings.name)
        self.__module__ = getattr(function, "__module__", __name__)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @override
    def __repr__(self) -> str:
        return f"<task {self.name!r} at {where(self.function)}>"

    def prepare(self, input_json: bytes, ctx: Context) -> Callable[[], Any]:
        """Validate an input and bind it; calling what it gives runs the user's function.

        The call returns the coroutine where `is_async`, else the function's own return value.

        Raises:
            InvalidInput: the input does not fit what the function takes.

        """
        text = input_json or b"{}"
        function = self.function
        match self.form:
            case ModelForm(input=codec):
                value = codec.read(text)
                return lambda: function(value, ctx)
            case PlainForm(input=fields, takes_context=takes_context):
                args, kwargs = fields.decode(text)
                if takes_context:
                    args.insert(0, ctx)
                return lambda: function(*args, **kwargs)
            case _ as unreachable:
                assert_never(unreachable)

    def prepare_injected(self, input_json: bytes, ctx: Context) -> tuple[Any, Callable[[Mapping[str, Any]], Any]]:
        """Do as `prepare` for a function that has dependencies.

        Returns:
            The input as dependencies see it (that of a plain task as a dict of its fields), and what to
            call with the dependencies by name.

        Raises:
            InvalidInput: the input does not fit what the function takes.

        """
        text = input_json or b"{}"
        function = self.function
        match self.form:
            case ModelForm(input=codec):
                value = codec.read(text)
                return value, lambda injected: function(value, ctx, **injected)
            case PlainForm(input=fields, takes_context=takes_context):
                args, kwargs = fields.decode(text)
                named = fields.named(args, kwargs)
                if takes_context:
                    args.insert(0, ctx)
                return named, lambda injected: function(*args, **kwargs, **injected)
            case _ as unreachable:
                assert_never(unreachable)

    def hurry(self, worker_id: str) -> None:
        """Have a worker's attempts wait for no others; those of most tasks never do. On that worker's loop."""

    def encode_output(self, value: Any) -> bytes:
        """Write what the function returned.

        Raises:
            SerializationError: it cannot be written as JSON; names its type.
            PayloadTooLarge: it is over 1 MiB.

        """
        codec = self.form.output
        return check_size(codec.write_loose(value), codec.name)

    def check_output(self, value: Any) -> Any:
        """Give `value` back if it can travel: asked while dependencies are open, and middleware may replace it."""
        self.encode_output(value)
        return value

    def decode_output(self, output_json: bytes) -> Any:
        """Read an output by the function's return annotation. Raises SerializationError where it does not fit."""
        try:
            return self.form.output.read(output_json or b"null")
        except InvalidInput as error:
            raise SerializationError(f"{error}: the worker's version of the task returns something else") from None

    def _check_settings(self) -> None:
        place = where(self.function)
        if self.is_async != (self.executor == "async"):
            need = "'async', for an async function" if self.is_async else "'thread' or 'process', for a sync function"
            raise InvalidTask(f"{place}: executor={self.settings.executor!r}: it has to be {need}")
        self.settings.check(place)
