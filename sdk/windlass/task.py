"""Owns a task: its definition, and the way from a JSON input to its function and back to a JSON output.

How it is called from afar is in `model_task` and `plain_task`; executing attempts is the worker's.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, assert_never

from typing_extensions import override

from windlass.duration import Duration, to_kept_milliseconds
from windlass.exceptions import InvalidInput, InvalidTask, SerializationError
from windlass.parameters import where
from windlass.payload import check_size, write_metadata
from windlass.placement import DEFAULT_POOL, check_cost, check_pool, sticky_number
from windlass.priority import Priority
from windlass.retry import RetryBudget, RetryPolicy
from windlass.signature import ModelForm, PlainForm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from windlass.concurrency import ConcurrencyExpression
    from windlass.context import Context
    from windlass.cron import Cron
    from windlass.idempotency import Idempotency
    from windlass.placement import DesiredWorkerLabel, StickyStrategy
    from windlass.rate_limit import RateLimit
    from windlass.v1 import workflow_pb2

Executor = Literal["async", "thread", "process"]

_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-")
_LONGEST_NAME: Final = 200
_LONGEST_DESCRIPTION: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What a decorator says about a task, apart from the function."""

    name: str
    description: str = ""
    version: str = ""
    queue: str = "default"
    default_priority: Priority = Priority.MEDIUM
    default_additional_metadata: Mapping[str, Any] | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    crons: Sequence[Cron] = ()
    retry_budget: RetryBudget | None = None
    execution_timeout: Duration | None = None
    soft_timeout: Duration | None = None
    schedule_timeout: Duration | None = None
    concurrency: Sequence[ConcurrencyExpression] = ()
    rate_limits: Sequence[RateLimit] = ()
    idempotency: Idempotency | None = None
    slot_cost: int = 1
    slot_pool: str = DEFAULT_POOL
    desired_worker_labels: Mapping[str, DesiredWorkerLabel] = field(default_factory=dict)
    sticky: StickyStrategy | None = None
    executor: Executor | None = None


class Task:
    """A registered function. `task(...)` runs it here; `task.run(...)` runs it on a worker."""

    #: Its attempts wait for others, to be executed with one call: they have to be in one process.
    gathers: ClassVar[bool] = False

    def __init__(self, function: Callable[..., Any], form: ModelForm | PlainForm, settings: TaskSettings) -> None:
        """Wrap `function`, whose signature has been read. Users write `@app.task`."""
        self.function = function
        self.name: Final = settings.name
        self.is_async: Final = inspect.iscoroutinefunction(function)
        self.executor: Final = settings.executor or ("async" if self.is_async else "thread")
        self.settings: Final = settings
        self.form: Final = form
        self.injection: Final = form.injection
        self._check_settings()
        self._cron_inputs: Final = [self._cron_input(cron) for cron in settings.crons]
        self.__name__ = getattr(function, "__name__", settings.name)
        self.__qualname__ = getattr(function, "__qualname__", settings.name)
        self.__module__ = getattr(function, "__module__", __name__)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @override
    def __repr__(self) -> str:
        return f"<task {self.name!r} at {where(self.function)}>"

    def definition(self) -> workflow_pb2.WorkflowDefinition:
        """Give its definition as the contracts have it. Built once; do not change it."""
        return self._definition

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

    @cached_property
    def _definition(self) -> workflow_pb2.WorkflowDefinition:
        from windlass.v1 import workflow_pb2

        settings = self.settings
        task = workflow_pb2.TaskDefinition(
            name=self.name,
            retry=settings.retry.to_proto(),
            execution_timeout_ms=_optional_ms(settings.execution_timeout, "execution_timeout"),
            schedule_timeout_ms=_optional_ms(settings.schedule_timeout, "schedule_timeout"),
            soft_timeout_ms=_optional_ms(settings.soft_timeout, "soft_timeout"),
            slot_cost=settings.slot_cost,
            slot_pool="" if settings.slot_pool == DEFAULT_POOL else settings.slot_pool,
            desired_labels=[label.to_proto(name) for name, label in settings.desired_worker_labels.items()],
            concurrency=[each.to_proto() for each in settings.concurrency if each.level == "task"],
            rate_limits=[each.to_proto() for each in settings.rate_limits],
        )
        schema = self.form.input.schema_json()
        return workflow_pb2.WorkflowDefinition(
            name=self.name,
            description=settings.description or _doc(self.function),
            version_label=settings.version,
            tasks=[task],
            default_priority=workflow_pb2.Priority.ValueType(settings.default_priority),
            default_queue=settings.queue,
            input_schema_json=schema,
            default_metadata_json=write_metadata(settings.default_additional_metadata),
            concurrency=[each.to_proto() for each in settings.concurrency if each.level == "workflow"],
            idempotency=None if settings.idempotency is None else settings.idempotency.to_definition(),
            sticky=sticky_number(settings.sticky),
            crons=[cron.to_proto(text) for cron, text in zip(settings.crons, self._cron_inputs, strict=True)],
            retry_budget=None if settings.retry_budget is None else settings.retry_budget.to_proto(),
        )

    def _check_settings(self) -> None:
        settings = self.settings
        if self.is_async != (self.executor == "async"):
            need = "'async', for an async function" if self.is_async else "'thread' or 'process', for a sync function"
            raise self._refused(f"executor={settings.executor!r}: it has to be {need}")
        if not 0 < len(self.name) <= _LONGEST_NAME or not _NAME_CHARACTERS.issuperset(self.name):
            raise self._refused(f"name={self.name!r}: 1 to {_LONGEST_NAME} letters, digits and ._:/- were expected")
        try:
            execution_ms = _optional_ms(settings.execution_timeout, "execution_timeout")
            soft_ms = _optional_ms(settings.soft_timeout, "soft_timeout")
            _optional_ms(settings.schedule_timeout, "schedule_timeout")
            Priority(settings.default_priority)
            if settings.idempotency is not None:
                settings.idempotency.to_definition()
            check_cost(settings.slot_cost)
            check_pool(settings.slot_pool, "slot_pool")
        except (ValueError, TypeError) as error:
            raise self._refused(str(error)) from None
        if execution_ms and soft_ms >= execution_ms:
            raise self._refused(
                f"soft_timeout={settings.soft_timeout!r}: less than execution_timeout={settings.execution_timeout!r} "
                "was expected: the task is told before it is stopped"
            )
        write_metadata(settings.default_additional_metadata)

    def _cron_input(self, cron: Cron) -> bytes:
        try:
            return self.form.input.write_value({} if cron.input is None else cron.input)
        except InvalidInput as error:
            raise self._refused(f"cron {cron.name or cron.expression!r}: {error}") from None

    def _refused(self, why: str) -> InvalidTask:
        return InvalidTask(f"{where(self.function)}: {why}")


def _optional_ms(value: Duration | None, name: str) -> int:
    return 0 if value is None else to_kept_milliseconds(value, name)


def _doc(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "")[:_LONGEST_DESCRIPTION]
