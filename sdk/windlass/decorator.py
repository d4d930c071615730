"""Owns `@app.task`: its parameters, and the types of what it makes of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    assert_never,
    overload,
)

from windlass.concurrency import Concurrency, read_concurrency
from windlass.cron import Cron, read_crons
from windlass.exceptions import InvalidTask
from windlass.model_task import ModelTask
from windlass.parameters import where
from windlass.placement import (
    DEFAULT_POOL,
    DesiredWorkerLabels,
    StickyStrategy,
    read_desired_labels,
)
from windlass.plain_task import PlainTask
from windlass.priority import Priority
from windlass.rate_limit import RateLimit, read_rate_limits
from windlass.retry import ErrorTypes, RetryBudget, RetryPolicy, policy_from_counts
from windlass.signature import ModelForm, PlainForm, read_signature
from windlass.task import Executor, TaskSettings

if TYPE_CHECKING:
    from windlass.client import Windlass
    from windlass.context import Context
    from windlass.duration import Duration
    from windlass.idempotency import Idempotency

P = ParamSpec("P")
InT = TypeVar("InT")
OutT = TypeVar("OutT")

_Co = Coroutine[Any, Any, OutT]


class TaskOptions(TypedDict, total=False):
    """The parameters of `@app.task`, all by keyword.

    name: unique; the function's name unless given. Letters, digits and ._:/-
    description: for people; the docstring unless given.
    version: your own label for this version; shown, never interpreted.
    default_priority: of runs that do not ask for one.
    default_additional_metadata: merged under each run's own.
    queue: of runs that do not name one.
    retries: attempts after the first.
    backoff_factor: retry n waits factor^n seconds; without it a retry is due at once.
    backoff_max_seconds: the longest such wait.
    backoff_jitter: draw each wait evenly from zero to that.
    retry_on: only these exception types, and those that derive from them, are retried.
    no_retry_on: these, and those that derive from them, are not.
    retry: the same as one object; not together with the five above and retries.
    on_crons: runs it again and again: cron expressions in UTC, or `Cron`s; see there.
    cron_input: the input of crons that have none of their own.
    retry_budget: bounds the retries of all its runs together.
    execution_timeout: longest time for one attempt, as a duration. Unless given: none.
    soft_timeout: SoftTimeoutExceeded is raised in the task after this long, shorter than the execution timeout.
    schedule_timeout: longest time from submit to start, as a duration. Unless given: none.
    concurrency: so many runs at a time, or as many per key as a ConcurrencyExpression says; a list has
        to be satisfied in full.
    rate_limits: units of limits that each attempt takes: all of them or none.
    idempotency: an Idempotency with an expression that gives each run its key: one run for all submits with
        one key.
    slot_cost: slots of a worker that one attempt occupies, 1 to 1,000.
    slot_pool: the pool of the worker that they are taken from.
    desired_worker_labels: labels that its workers must or should have, each as a DesiredWorkerLabel.
    sticky: how strictly children that its runs submit with `sticky=True` are bound to its worker.
    executor: "async" for async functions; "thread" for the others, or "process": alone in a process of its
        own, which is killed at the execution timeout.
    """

    name: str | None
    description: str
    version: str
    default_priority: Priority
    default_additional_metadata: Mapping[str, Any] | None
    queue: str
    retries: int
    backoff_factor: float | None
    backoff_max_seconds: float | None
    backoff_jitter: bool
    retry_on: ErrorTypes
    no_retry_on: ErrorTypes
    retry: RetryPolicy | None
    on_crons: Iterable[str | Cron]
    cron_input: Any
    retry_budget: RetryBudget | None
    execution_timeout: Duration | None
    soft_timeout: Duration | None
    schedule_timeout: Duration | None
    concurrency: Concurrency | None
    rate_limits: Iterable[RateLimit]
    idempotency: Idempotency | None
    slot_cost: int
    slot_pool: str
    desired_worker_labels: DesiredWorkerLabels | None
    sticky: StickyStrategy | None
    executor: Executor | None


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
        prepare = settings_of(**options)

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
        prepare: Callable[[Callable[..., Any]], TaskSettings],
        local_names: Mapping[str, Any],
    ) -> ModelTask[Any, Any] | PlainTask[..., Any]:
        settings = prepare(function)
        form = read_signature(function, settings.name, input_validator, local_names)
        task: ModelTask[Any, Any] | PlainTask[..., Any]
        match form:
            case ModelForm():
                task = ModelTask(self._app, function, form, settings)
            case PlainForm():
                task = PlainTask(self._app, function, form, settings)
            case _ as unreachable:
                assert_never(unreachable)
        self._app._register(task)  # noqa: SLF001 - half of the same thing
        return task


_NOT_GIVEN: Any = object()


def settings_of(
    *,
    name: str | None = None,
    description: str = "",
    version: str = "",
    default_priority: Priority = Priority.MEDIUM,
    default_additional_metadata: Mapping[str, Any] | None = None,
    queue: str = "default",
    retries: int = _NOT_GIVEN,
    backoff_factor: float | None = None,
    backoff_max_seconds: float | None = None,
    backoff_jitter: bool = _NOT_GIVEN,
    retry_on: ErrorTypes = (),
    no_retry_on: ErrorTypes = (),
    retry: RetryPolicy | None = None,
    on_crons: Iterable[str | Cron] = (),
    cron_input: Any = None,
    retry_budget: RetryBudget | None = None,
    execution_timeout: Duration | None = None,
    soft_timeout: Duration | None = None,
    schedule_timeout: Duration | None = None,
    concurrency: Concurrency | None = None,
    rate_limits: Iterable[RateLimit] = (),
    idempotency: Idempotency | None = None,
    slot_cost: int = 1,
    slot_pool: str = DEFAULT_POOL,
    desired_worker_labels: DesiredWorkerLabels | None = None,
    sticky: StickyStrategy | None = None,
    executor: Executor | None = None,
) -> Callable[[Callable[..., Any]], TaskSettings]:
    """Give what makes settings for a function; unknown parameters are TypeErrors by Python itself."""
    separate = {
        "retries": retries is not _NOT_GIVEN,
        "backoff_factor": backoff_factor is not None,
        "backoff_max_seconds": backoff_max_seconds is not None,
        "backoff_jitter": backoff_jitter is not _NOT_GIVEN,
        "retry_on": bool(retry_on),
        "no_retry_on": bool(no_retry_on),
    }

    def prepare(function: Callable[..., Any]) -> TaskSettings:
        given = [each for each, is_given in separate.items() if is_given]
        for parameter, value, wanted in (("retry", retry, RetryPolicy), ("retry_budget", retry_budget, RetryBudget)):
            if value is not None and not isinstance(value, wanted):
                raise InvalidTask(f"{where(function)}: {parameter} takes a {wanted.__name__}, not {value!r}")
        if retry is not None and given:
            raise InvalidTask(f"{where(function)}: retry= says it all: leave out {', '.join(given)}")
        try:
            policy = retry or policy_from_counts(
                retries=0 if retries is _NOT_GIVEN else retries,
                backoff_factor=backoff_factor,
                backoff_max_seconds=backoff_max_seconds,
                backoff_jitter=True if backoff_jitter is _NOT_GIVEN else backoff_jitter,
                retry_on=retry_on,
                no_retry_on=no_retry_on,
            )
            crons = read_crons(on_crons, cron_input)
            keys = read_concurrency(concurrency)
            limits = read_rate_limits(rate_limits)
            labels = read_desired_labels(desired_worker_labels)
            strategy = None if sticky is None else StickyStrategy(sticky)
        except (ValueError, TypeError) as error:
            raise InvalidTask(f"{where(function)}: {error}") from None
        return TaskSettings(
            name=name or str(getattr(function, "__name__", "")),
            description=description,
            version=version,
            queue=queue,
            default_priority=default_priority,
            default_additional_metadata=default_additional_metadata,
            retry=policy,
            crons=crons,
            retry_budget=retry_budget,
            execution_timeout=execution_timeout,
            soft_timeout=soft_timeout,
            schedule_timeout=schedule_timeout,
            concurrency=keys,
            rate_limits=limits,
            idempotency=idempotency,
            slot_cost=slot_cost,
            slot_pool=slot_pool,
            desired_worker_labels=labels,
            sticky=strategy,
            executor=executor,
        )

    return prepare
