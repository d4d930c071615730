"""Owns what a definition says apart from functions: of a workflow, and of a task in it. Checks it, and writes it.

A standalone task has both: it is a workflow of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from windlass.duration import Duration, to_kept_milliseconds
from windlass.exceptions import InvalidInput, InvalidTask
from windlass.payload import write_metadata
from windlass.placement import DEFAULT_POOL, check_cost, check_pool, sticky_number
from windlass.priority import Priority
from windlass.retry import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from windlass.concurrency import ConcurrencyExpression
    from windlass.cron import Cron
    from windlass.idempotency import Idempotency
    from windlass.placement import DesiredWorkerLabel, StickyStrategy
    from windlass.rate_limit import RateLimit
    from windlass.v1 import workflow_pb2

Executor = Literal["async", "thread", "process"]

_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSettings:
    """What concerns all runs of a workflow. Of its concurrency the keys of level "task" are the tasks' own."""

    name: str
    description: str = ""
    version: str = ""
    queue: str = "default"
    default_priority: Priority = Priority.MEDIUM
    default_additional_metadata: Mapping[str, Any] | None = None
    crons: Sequence[Cron] = ()
    retry_budget: RetryBudget | None = None
    concurrency: Sequence[ConcurrencyExpression] = ()
    idempotency: Idempotency | None = None
    sticky: StickyStrategy | None = None

    def check(self, place: str) -> None:
        """Refuse what the engine would. Raises InvalidTask, which names `place`."""
        _check_name(self.name, place)
        try:
            Priority(self.default_priority)
            if self.idempotency is not None:
                self.idempotency.to_definition()
        except (ValueError, TypeError) as error:
            raise InvalidTask(f"{place}: {error}") from None
        write_metadata(self.default_additional_metadata)

    def cron_inputs(self, write: Callable[[Any], bytes], place: str) -> list[bytes]:
        """Write the input of each cron. Raises InvalidTask where one does not fit."""
        texts = []
        for cron in self.crons:
            try:
                texts.append(write({} if cron.input is None else cron.input))
            except InvalidInput as error:
                raise InvalidTask(f"{place}: cron {cron.name or cron.expression!r}: {error}") from None
        return texts

    def to_proto(
        self, tasks: Sequence[workflow_pb2.TaskDefinition], input_schema_json: bytes, cron_inputs: Sequence[bytes]
    ) -> workflow_pb2.WorkflowDefinition:
        """Write it as the contracts have it."""
        from windlass.v1 import workflow_pb2

        return workflow_pb2.WorkflowDefinition(
            name=self.name,
            description=self.description,
            version_label=self.version,
            tasks=tasks,
            default_priority=workflow_pb2.Priority.ValueType(self.default_priority),
            default_queue=self.queue,
            input_schema_json=input_schema_json,
            default_metadata_json=write_metadata(self.default_additional_metadata),
            concurrency=[each.to_proto() for each in self.concurrency if each.level == "workflow"],
            idempotency=None if self.idempotency is None else self.idempotency.to_definition(),
            sticky=sticky_number(self.sticky),
            crons=[cron.to_proto(text) for cron, text in zip(self.crons, cron_inputs, strict=True)],
            retry_budget=None if self.retry_budget is None else self.retry_budget.to_proto(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What concerns each attempt of a task. Of its concurrency the keys of level "workflow" are the workflow's."""

    name: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    execution_timeout: Duration | None = None
    soft_timeout: Duration | None = None
    schedule_timeout: Duration | None = None
    concurrency: Sequence[ConcurrencyExpression] = ()
    rate_limits: Sequence[RateLimit] = ()
    slot_cost: int = 1
    slot_pool: str = DEFAULT_POOL
    desired_worker_labels: Mapping[str, DesiredWorkerLabel] = field(default_factory=dict)
    executor: Executor | None = None

    def check(self, place: str) -> None:
        """Refuse what the engine would. Raises InvalidTask, which names `place`."""
        _check_name(self.name, place)
        try:
            execution_ms = _optional_ms(self.execution_timeout, "execution_timeout")
            soft_ms = _optional_ms(self.soft_timeout, "soft_timeout")
            _optional_ms(self.schedule_timeout, "schedule_timeout")
            check_cost(self.slot_cost)
            check_pool(self.slot_pool, "slot_pool")
        except (ValueError, TypeError) as error:
            raise InvalidTask(f"{place}: {error}") from None
        if execution_ms and soft_ms >= execution_ms:
            raise InvalidTask(
                f"{place}: soft_timeout={self.soft_timeout!r}: less than execution_timeout={self.execution_timeout!r} "
                "was expected: the task is told before it is stopped"
            )

    def to_proto(self) -> workflow_pb2.TaskDefinition:
        """Write it as the contracts have it."""
        from windlass.v1 import workflow_pb2

        return workflow_pb2.TaskDefinition(
            name=self.name,
            retry=self.retry.to_proto(),
            execution_timeout_ms=_optional_ms(self.execution_timeout, "execution_timeout"),
            schedule_timeout_ms=_optional_ms(self.schedule_timeout, "schedule_timeout"),
            soft_timeout_ms=_optional_ms(self.soft_timeout, "soft_timeout"),
            slot_cost=self.slot_cost,
            slot_pool="" if self.slot_pool == DEFAULT_POOL else self.slot_pool,
            desired_labels=[label.to_proto(name) for name, label in self.desired_worker_labels.items()],
            concurrency=[each.to_proto() for each in self.concurrency if each.level == "task"],
            rate_limits=[each.to_proto() for each in self.rate_limits],
        )


def _check_name(name: str, place: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not _NAME_CHARACTERS.issuperset(name):
        raise InvalidTask(f"{place}: name={name!r}: 1 to {_LONGEST_NAME} letters, digits and ._:/- were expected")


def _optional_ms(value: Duration | None, name: str) -> int:
    return 0 if value is None else to_kept_milliseconds(value, name)
