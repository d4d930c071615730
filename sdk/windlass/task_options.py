"""Owns the parameters of `app.task`, `app.workflow` and a workflow's decorators: what they take, and how it is read."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, TypedDict

from windlass.concurrency import Concurrency, read_concurrency
from windlass.cron import Cron, read_crons
from windlass.definition import Executor, TaskSettings, WorkflowSettings
from windlass.exceptions import InvalidTask
from windlass.parameters import where
from windlass.placement import DEFAULT_POOL, DesiredWorkerLabels, StickyStrategy, read_desired_labels
from windlass.priority import Priority
from windlass.rate_limit import RateLimit, read_rate_limits
from windlass.retry import ErrorTypes, RetryBudget, RetryPolicy, policy_from_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from windlass.concurrency import ConcurrencyLevel
    from windlass.duration import Duration
    from windlass.idempotency import Idempotency

_LONGEST_DESCRIPTION: Final = 1000


class WorkflowOptions(TypedDict, total=False):
    """What `app.workflow` takes besides name and input_validator, and `app.task` too, all by keyword.

    description: for people; for a task the docstring unless given.
    version: your own label for this version; shown, never interpreted.
    default_priority: of runs that do not ask for one.
    default_additional_metadata: merged under each run's own.
    queue: of runs that do not name one.
    on_crons: runs it again and again: cron expressions in UTC, or `Cron`s; see there.
    cron_input: the input of crons that have none of their own.
    retry_budget: bounds the retries of all its runs together.
    concurrency: so many runs at a time, or as many per key as a ConcurrencyExpression says; a list has
        to be satisfied in full.
    idempotency: an Idempotency with an expression that gives each run its key: one run for all submits with
        one key.
    sticky: how strictly children that its runs submit with `sticky=True` are bound to its worker.
    """

    description: str
    version: str
    default_priority: Priority
    default_additional_metadata: Mapping[str, Any] | None
    queue: str
    on_crons: Iterable[str | Cron]
    cron_input: Any
    retry_budget: RetryBudget | None
    concurrency: Concurrency | None
    idempotency: Idempotency | None
    sticky: StickyStrategy | None


class WorkflowTaskOptions(TypedDict, total=False):
    """What the decorators of a workflow take, and `app.task` too, all by keyword.

    name: unique, of letters, digits and ._:/-; the function's name unless given.
    retries: attempts after the first.
    backoff_factor: retry n waits factor^n seconds; without it a retry is due at once.
    backoff_max_seconds: the longest such wait.
    backoff_jitter: draw each wait evenly from zero to that.
    retry_on: only these exception types, and those that derive from them, are retried.
    no_retry_on: these, and those that derive from them, are not.
    retry: the same as one object; not together with the five above and retries.
    execution_timeout: longest time for one attempt, as a duration. Unless given: none.
    soft_timeout: SoftTimeoutExceeded is raised in the task after this long, shorter than the execution timeout.
    schedule_timeout: longest time from submit to start, as a duration. Unless given: none.
    concurrency: so many attempts at a time, or per key; a ConcurrencyExpression says level="task".
    rate_limits: units of limits that each attempt takes: all of them or none.
    slot_cost: slots of a worker that one attempt occupies, 1 to 1,000.
    slot_pool: the pool of the worker that they are taken from.
    desired_worker_labels: labels that its workers must or should have, each as a DesiredWorkerLabel.
    executor: "async" for async functions; "thread" for the others, or "process": alone in a process of its
        own, which is killed at the execution timeout.
    """

    name: str | None
    retries: int
    backoff_factor: float | None
    backoff_max_seconds: float | None
    backoff_jitter: bool
    retry_on: ErrorTypes
    no_retry_on: ErrorTypes
    retry: RetryPolicy | None
    execution_timeout: Duration | None
    soft_timeout: Duration | None
    schedule_timeout: Duration | None
    concurrency: Concurrency | None
    rate_limits: Iterable[RateLimit]
    slot_cost: int
    slot_pool: str
    desired_worker_labels: DesiredWorkerLabels | None
    executor: Executor | None


class TaskOptions(WorkflowOptions, WorkflowTaskOptions, total=False):
    """The parameters of `@app.task`, all by keyword: those of a workflow and those of its one task.

    See `WorkflowOptions` and `WorkflowTaskOptions`. Its concurrency may have keys of both levels; a number is
    that of runs.
    """


def read_standalone_options(**options: Any) -> Callable[[Callable[..., Any]], tuple[TaskSettings, WorkflowSettings]]:
    """Give what makes settings of `TaskOptions` for a function; unknown parameters are TypeErrors."""
    of_workflow = {name: options.pop(name) for name in WorkflowOptions.__annotations__ if name in options}
    prepare = read_task_options(concurrency=of_workflow.pop("concurrency", None), number_is_of="workflow", **options)

    def prepare_both(function: Callable[..., Any]) -> tuple[TaskSettings, WorkflowSettings]:
        task = prepare(function)
        described = {**of_workflow, "description": of_workflow.get("description") or _doc(function)}
        return task, read_workflow_options(task.name, where(function), concurrency=task.concurrency, **described)

    return prepare_both


def read_workflow_options(
    name: str,
    place: str,
    *,
    description: str = "",
    version: str = "",
    default_priority: Priority = Priority.MEDIUM,
    default_additional_metadata: Mapping[str, Any] | None = None,
    queue: str = "default",
    on_crons: Iterable[str | Cron] = (),
    cron_input: Any = None,
    retry_budget: RetryBudget | None = None,
    concurrency: Concurrency | None = None,
    idempotency: Idempotency | None = None,
    sticky: StickyStrategy | None = None,
) -> WorkflowSettings:
    """Read `WorkflowOptions`. Raises InvalidTask, which names `place`; TypeError for unknown ones."""
    _check_type(place, "retry_budget", retry_budget, RetryBudget)
    try:
        settings = WorkflowSettings(
            name=name,
            description=description,
            version=version,
            queue=queue,
            default_priority=default_priority,
            default_additional_metadata=default_additional_metadata,
            crons=read_crons(on_crons, cron_input),
            retry_budget=retry_budget,
            concurrency=read_concurrency(concurrency),
            idempotency=idempotency,
            sticky=None if sticky is None else StickyStrategy(sticky),
        )
    except (ValueError, TypeError) as error:
        raise InvalidTask(f"{place}: {error}") from None
    settings.check(place)
    return settings


_NOT_GIVEN: Any = object()


def read_task_options(
    *,
    name: str | None = None,
    retries: int = _NOT_GIVEN,
    backoff_factor: float | None = None,
    backoff_max_seconds: float | None = None,
    backoff_jitter: bool = _NOT_GIVEN,
    retry_on: ErrorTypes = (),
    no_retry_on: ErrorTypes = (),
    retry: RetryPolicy | None = None,
    execution_timeout: Duration | None = None,
    soft_timeout: Duration | None = None,
    schedule_timeout: Duration | None = None,
    concurrency: Concurrency | None = None,
    rate_limits: Iterable[RateLimit] = (),
    slot_cost: int = 1,
    slot_pool: str = DEFAULT_POOL,
    desired_worker_labels: DesiredWorkerLabels | None = None,
    executor: Executor | None = None,
    number_is_of: ConcurrencyLevel = "task",
) -> Callable[[Callable[..., Any]], TaskSettings]:
    """Give what makes settings of `WorkflowTaskOptions` for a function; unknown parameters are TypeErrors.

    `number_is_of` says which level a concurrency that is a mere number has.
    """
    separate = {
        "retries": retries is not _NOT_GIVEN,
        "backoff_factor": backoff_factor is not None,
        "backoff_max_seconds": backoff_max_seconds is not None,
        "backoff_jitter": backoff_jitter is not _NOT_GIVEN,
        "retry_on": bool(retry_on),
        "no_retry_on": bool(no_retry_on),
    }

    def prepare(function: Callable[..., Any]) -> TaskSettings:
        place = where(function)
        given = [each for each, is_given in separate.items() if is_given]
        _check_type(place, "retry", retry, RetryPolicy)
        if retry is not None and given:
            raise InvalidTask(f"{place}: retry= says it all: leave out {', '.join(given)}")
        try:
            return TaskSettings(
                name=name or str(getattr(function, "__name__", "")),
                retry=retry
                or policy_from_counts(
                    retries=0 if retries is _NOT_GIVEN else retries,
                    backoff_factor=backoff_factor,
                    backoff_max_seconds=backoff_max_seconds,
                    backoff_jitter=True if backoff_jitter is _NOT_GIVEN else backoff_jitter,
                    retry_on=retry_on,
                    no_retry_on=no_retry_on,
                ),
                execution_timeout=execution_timeout,
                soft_timeout=soft_timeout,
                schedule_timeout=schedule_timeout,
                concurrency=read_concurrency(concurrency, number_is_of),
                rate_limits=read_rate_limits(rate_limits),
                slot_cost=slot_cost,
                slot_pool=slot_pool,
                desired_worker_labels=read_desired_labels(desired_worker_labels),
                executor=executor,
            )
        except (ValueError, TypeError) as error:
            raise InvalidTask(f"{place}: {error}") from None

    return prepare


def _check_type(place: str, parameter: str, value: object, wanted: type) -> None:
    if value is not None and not isinstance(value, wanted):
        raise InvalidTask(f"{place}: {parameter} takes a {wanted.__name__}, not {value!r}")


def _doc(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "")[:_LONGEST_DESCRIPTION]
