"""Owns nothing: the public names of the SDK, each loaded when it is first asked for.

from windlass import Windlass, Context
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.batch_context import BatchContext as BatchContext
    from windlass.bulk import BulkResult as BulkResult
    from windlass.bulk import RunFilter as RunFilter
    from windlass.calling import BulkRunItem as BulkRunItem
    from windlass.client import Windlass as Windlass
    from windlass.concurrency import ConcurrencyExpression as ConcurrencyExpression
    from windlass.concurrency import ConcurrencyLimitStrategy as ConcurrencyLimitStrategy
    from windlass.config import ClientConfig as ClientConfig
    from windlass.config import UnknownSettingWarning as UnknownSettingWarning
    from windlass.context import Context as Context
    from windlass.cron import Cron as Cron
    from windlass.crons import CronInfo as CronInfo
    from windlass.dependency import Depends as Depends
    from windlass.empty_model import EmptyModel as EmptyModel
    from windlass.exceptions import AlreadyExists as AlreadyExists
    from windlass.exceptions import ApiUnreachable as ApiUnreachable
    from windlass.exceptions import BatchRefused as BatchRefused
    from windlass.exceptions import ClientClosed as ClientClosed
    from windlass.exceptions import DuplicateTask as DuplicateTask
    from windlass.exceptions import EngineBusy as EngineBusy
    from windlass.exceptions import EngineNotInstalled as EngineNotInstalled
    from windlass.exceptions import ForkedClient as ForkedClient
    from windlass.exceptions import InvalidConfig as InvalidConfig
    from windlass.exceptions import InvalidInput as InvalidInput
    from windlass.exceptions import InvalidTask as InvalidTask
    from windlass.exceptions import LifespanFailed as LifespanFailed
    from windlass.exceptions import MissingScope as MissingScope
    from windlass.exceptions import NoDispatcher as NoDispatcher
    from windlass.exceptions import NonRetryableException as NonRetryableException
    from windlass.exceptions import NotFound as NotFound
    from windlass.exceptions import PayloadTooLarge as PayloadTooLarge
    from windlass.exceptions import ProtocolError as ProtocolError
    from windlass.exceptions import ResultTimeout as ResultTimeout
    from windlass.exceptions import RunCancelled as RunCancelled
    from windlass.exceptions import RunIdTaken as RunIdTaken
    from windlass.exceptions import SerializationError as SerializationError
    from windlass.exceptions import ServerFault as ServerFault
    from windlass.exceptions import SlowReader as SlowReader
    from windlass.exceptions import SoftTimeoutExceeded as SoftTimeoutExceeded
    from windlass.exceptions import StoreFull as StoreFull
    from windlass.exceptions import StoreUnavailable as StoreUnavailable
    from windlass.exceptions import SyncCallOnLoop as SyncCallOnLoop
    from windlass.exceptions import TaskRunError as TaskRunError
    from windlass.exceptions import Unauthorized as Unauthorized
    from windlass.exceptions import UnknownRun as UnknownRun
    from windlass.exceptions import UnknownTask as UnknownTask
    from windlass.exceptions import UnknownWorker as UnknownWorker
    from windlass.exceptions import WindlassError as WindlassError
    from windlass.idempotency import Idempotency as Idempotency
    from windlass.middleware import CallNext as CallNext
    from windlass.placement import DesiredWorkerLabel as DesiredWorkerLabel
    from windlass.placement import StickyStrategy as StickyStrategy
    from windlass.placement import WorkerLabelComparator as WorkerLabelComparator
    from windlass.priority import Priority as Priority
    from windlass.progress import Progress as Progress
    from windlass.queues import QueueInfo as QueueInfo
    from windlass.rate_limit import RateLimit as RateLimit
    from windlass.rate_limit import RateLimitDuration as RateLimitDuration
    from windlass.rate_limits import RateLimitState as RateLimitState
    from windlass.refs import TaskRunRef as TaskRunRef
    from windlass.refs import WorkflowRunRef as WorkflowRunRef
    from windlass.retry import RetryBudget as RetryBudget
    from windlass.retry import RetryPolicy as RetryPolicy
    from windlass.run import LogLine as LogLine
    from windlass.run import Run as Run
    from windlass.run import RunState as RunState
    from windlass.run import WorkerInfo as WorkerInfo
    from windlass.run import WorkflowInfo as WorkflowInfo
    from windlass.runnable import Runnable as Runnable
    from windlass.scheduled import ScheduledRun as ScheduledRun
    from windlass.status import RunStatus as RunStatus
    from windlass.stream_chunk import StreamChunk as StreamChunk
    from windlass.task import Task as Task
    from windlass.tokens import NewToken as NewToken
    from windlass.tokens import Token as Token
    from windlass.worker import Worker as Worker
    from windlass.workflow import Workflow as Workflow

_HOMES = {
    "BatchContext": "batch_context",
    "BulkResult": "bulk",
    "BulkRunItem": "calling",
    "ClientConfig": "config",
    "ConcurrencyExpression": "concurrency",
    "ConcurrencyLimitStrategy": "concurrency",
    "Context": "context",
    "CallNext": "middleware",
    "Cron": "cron",
    "CronInfo": "crons",
    "Depends": "dependency",
    "DesiredWorkerLabel": "placement",
    "EmptyModel": "empty_model",
    "Idempotency": "idempotency",
    "LogLine": "run",
    "NewToken": "tokens",
    "Priority": "priority",
    "Progress": "progress",
    "QueueInfo": "queues",
    "RateLimit": "rate_limit",
    "RateLimitDuration": "rate_limit",
    "RateLimitState": "rate_limits",
    "RetryBudget": "retry",
    "RetryPolicy": "retry",
    "Run": "run",
    "RunFilter": "bulk",
    "RunState": "run",
    "RunStatus": "status",
    "Runnable": "runnable",
    "StickyStrategy": "placement",
    "ScheduledRun": "scheduled",
    "StreamChunk": "stream_chunk",
    "Task": "task",
    "TaskRunRef": "refs",
    "Token": "tokens",
    "UnknownSettingWarning": "config",
    "Windlass": "client",
    "Worker": "worker",
    "WorkerInfo": "run",
    "WorkerLabelComparator": "placement",
    "Workflow": "workflow",
    "WorkflowInfo": "run",
    "WorkflowRunRef": "refs",
}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'windlass' has no attribute {name!r}")
    home = _HOMES.get(name, "exceptions")
    value = getattr(import_module(f"windlass.{home}"), name, None)
    if value is None or (home == "exceptions" and not isinstance(value, type)):
        raise AttributeError(f"module 'windlass' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from windlass.exceptions import __all__ as errors

    return sorted({*globals(), *_HOMES, *errors})
