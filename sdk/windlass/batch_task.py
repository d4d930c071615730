"""Owns batch tasks: called with one input each, executed with many.

Gathering and executing is the worker's (`worker/batching.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Generic, cast

from pydantic import BaseModel
from typing_extensions import TypeVar, override

from windlass.batch_context import BatchContext
from windlass.duration import Duration, to_milliseconds
from windlass.exceptions import InvalidTask
from windlass.mock_context import mock_context
from windlass.model_task import ModelTask
from windlass.parameters import where

if TYPE_CHECKING:
    from windlass.batch_signature import BatchForm
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.definition import TaskSettings, WorkflowSettings
    from windlass.worker.batching import BatchCall, Batches

InT = TypeVar("InT")
OutT = TypeVar("OutT")
RetT = TypeVar("RetT", default=Any)

#: What of an input tells its group: the name of a field, or a function of the input.
GroupKey = str | Callable[[Any], Hashable]

_LARGEST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """When a batch is complete.

    Attributes:
        max_size: so many inputs at the most, 1 to 100,000.
        max_interval: the first input waits this long for others, as a duration.
        group_key: inputs of one batch have it in common.

    """

    max_size: int = 100
    max_interval: Duration = "500ms"
    group_key: GroupKey | None = None


class BatchTask(ModelTask[InT, OutT, RetT], Generic[InT, OutT, RetT]):
    """A task whose function takes a list of `InT` and gives a list of `OutT`; each run has one of each."""

    gathers = True

    def __init__(
        self,
        app: Windlass,
        function: Callable[..., RetT],
        form: BatchForm,
        settings: TaskSettings,
        workflow: WorkflowSettings,
        batching: Batching,
    ) -> None:
        """Wrap `function`. Users write `@app.batch_task`."""
        self._batch = function
        self._takes_context = form.takes_context
        self._group_of = _reader(batching.group_key, function, form)
        self._max_size, self._interval_ms = _check(batching, function)
        self._limit_ms = _limit_ms(settings, function)
        self._made_batches: Batches | None = None

        @wraps(function)
        async def one(input: InT, ctx: Context) -> Any:
            return await self._batches.join(input, ctx, self._group_of(input))

        if self._limit_ms is not None:
            # An attempt's time includes its wait for the others; the call itself is given what was asked for.
            whole = timedelta(milliseconds=self._limit_ms + self._interval_ms)
            settings = replace(settings, execution_timeout=whole)
        super().__init__(app, cast("Any", one), form.form, settings, workflow)

    @override
    def __call__(  # type: ignore[override] # a function is called as it is written: with the list
        self, inputs: list[InT], ctx: BatchContext | None = None
    ) -> RetT:
        """Run the function here, without the engine; without a `ctx` it gets a mocked one."""
        if not self._takes_context:
            return self._batch(inputs)
        if ctx is None:
            contexts = [mock_context(self, self._write(each)) for each in inputs]
            ctx = BatchContext(contexts, [copy_context() for _ in contexts])
        return self._batch(inputs, ctx)

    @override
    def hurry(self, worker_id: str) -> None:
        """See Task."""
        self._batches.hurry(worker_id)

    @property
    def _batches(self) -> Batches:
        """Made at the first use: whoever only submits needs none of it."""
        if self._made_batches is None:
            from windlass.worker.batching import Batches

            self._made_batches = Batches(self._how())
        return self._made_batches

    def _how(self) -> BatchCall:
        from windlass.worker.batching import BatchCall

        function = self._batch
        return BatchCall(
            call=function if self._takes_context else lambda inputs, _ctx: function(inputs),
            is_async=inspect.iscoroutinefunction(function),
            max_size=self._max_size,
            max_interval=self._interval_ms / 1000,
            timeout=None if self._limit_ms is None else self._limit_ms / 1000,
        )


def _check(batching: Batching, function: Callable[..., Any]) -> tuple[int, int]:
    """Give the size, and the interval in milliseconds. Raises InvalidTask."""
    size = batching.max_size
    if type(size) is not int or not 1 <= size <= _LARGEST:
        raise InvalidTask(f"{where(function)}: batch_max_size={size!r}: 1 to {_LARGEST:,} were expected")
    try:
        return size, to_milliseconds(batching.max_interval, "batch_max_interval")
    except (ValueError, TypeError) as error:
        raise InvalidTask(f"{where(function)}: {error}") from None


def _limit_ms(settings: TaskSettings, function: Callable[..., Any]) -> int | None:
    if settings.executor is not None:
        raise InvalidTask(f"{where(function)}: executor={settings.executor!r}: a batch task has none to choose")
    if settings.soft_timeout is not None:
        raise InvalidTask(f"{where(function)}: soft_timeout: a batch task has none, its runs share one call")
    try:
        return to_milliseconds(settings.execution_timeout or 0, "execution_timeout") or None
    except (ValueError, TypeError) as error:
        raise InvalidTask(f"{where(function)}: {error}") from None


def _reader(key: GroupKey | None, function: Callable[..., Any], form: BatchForm) -> Callable[[Any], Hashable]:
    """Give what reads the group off an input. Raises InvalidTask."""
    if key is None:
        return lambda _input: None
    if callable(key):
        read = key
    elif isinstance(key, str):
        model = form.input_type
        if isinstance(model, type) and issubclass(model, BaseModel) and key not in model.model_fields:
            known = ", ".join(model.model_fields) or "none"
            raise InvalidTask(f"{where(function)}: batch_group_key={key!r}: {model.__name__} has the fields {known}")
        read = lambda value: value[key] if isinstance(value, dict) else getattr(value, key)  # noqa: E731 - one of two
    else:
        raise InvalidTask(f"{where(function)}: batch_group_key={key!r}: a field's name or a function was expected")

    def group_of(value: Any) -> Hashable:
        group = read(value)
        try:
            hash(group)
        except TypeError:
            raise TypeError(
                f"batch_group_key gave a {type(group).__name__}, which cannot be told apart: give text or a number"
            ) from None
        return group

    return group_of
