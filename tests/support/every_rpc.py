"""Owns one request for every RPC, about what a namespace has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support.raw_client import submission, workflow
from windlass.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    rate_limit_pb2,
    rate_limit_service_pb2,
    run_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    system_service_pb2,
    token_pb2,
    token_service_pb2,
    worker_service_pb2,
    workflow_pb2,
    workflow_service_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Callable


FAR_MS = 4_000_000_000_000


@dataclass(frozen=True)
class Things:
    """What a namespace has: a task, a run of it and one to come, a cron, a worker that has the task, a token.

    And a rate limit of the task's name.
    """

    task: str
    run_id: str
    worker_id: str
    token_id: str
    scheduled_id: str
    cron_id: str


def _cron(task: str) -> schedule_pb2.CronSpec:
    return schedule_pb2.CronSpec(
        workflow_name=task, schedule=workflow_pb2.CronDefinition(name="yearly", expression="@yearly")
    )


def hello_of(things: Things) -> dispatch_service_pb2.ConnectRequest:
    """The Hello of its worker."""
    hello = dispatch_pb2.Hello(worker_id=things.worker_id, name="raw", slots=1, workflows=[workflow(things.task)])
    hello.draining = True  # it is forgotten as soon as its stream has ended
    return dispatch_service_pb2.ConnectRequest(hello=hello)


def subscribe_to(things: Things) -> run_service_pb2.SessionRequest:
    """Asks for the end of its run."""
    subscribe = run_service_pb2.SessionSubscribe(run_ids=[things.run_id])
    return run_service_pb2.SessionRequest(request_id=1, subscribe=subscribe)


#: What each RPC is asked, about somebody's things. A new RPC needs a line here and one in the table of scopes.
REQUESTS: Final[dict[str, Callable[[Things], Any]]] = {
    "RunService.SubmitRuns": lambda t: run_service_pb2.SubmitRunsRequest(runs=[submission(t.task)]),
    "RunService.GetRun": lambda t: run_service_pb2.GetRunRequest(run_id=t.run_id),
    "RunService.ListRuns": lambda _: run_service_pb2.ListRunsRequest(),
    "RunService.CancelRuns": lambda t: run_service_pb2.CancelRunsRequest(run_ids=[t.run_id]),
    "RunService.ReplayRuns": lambda t: run_service_pb2.ReplayRunsRequest(run_ids=[t.run_id]),
    "RunService.DeleteRuns": lambda t: run_service_pb2.DeleteRunsRequest(run_ids=[t.run_id]),
    "RunService.WaitResult": lambda t: run_service_pb2.WaitResultRequest(run_id=t.run_id, timeout_ms=20_000),
    "RunService.ListLogs": lambda t: run_service_pb2.ListLogsRequest(run_id=t.run_id),
    "RunService.TailLogs": lambda t: run_service_pb2.TailLogsRequest(run_id=t.run_id),
    "RunService.SubscribeToStream": lambda t: run_service_pb2.SubscribeToStreamRequest(run_id=t.run_id),
    "RunService.WatchRuns": lambda t: run_service_pb2.WatchRunsRequest(run_ids=[t.run_id]),
    "RunService.Session": subscribe_to,
    "WorkflowService.RegisterWorkflows": lambda t: workflow_service_pb2.RegisterWorkflowsRequest(
        workflows=[workflow(t.task)]
    ),
    "WorkflowService.GetWorkflow": lambda t: workflow_service_pb2.GetWorkflowRequest(name=t.task),
    "WorkflowService.ListWorkflows": lambda _: workflow_service_pb2.ListWorkflowsRequest(),
    "WorkflowService.PauseWorkflows": lambda t: workflow_service_pb2.PauseWorkflowsRequest(names=[t.task]),
    "WorkflowService.ResumeWorkflows": lambda t: workflow_service_pb2.ResumeWorkflowsRequest(names=[t.task]),
    "WorkflowService.ListQueues": lambda _: workflow_service_pb2.ListQueuesRequest(),
    "WorkflowService.PauseQueues": lambda t: workflow_service_pb2.PauseQueuesRequest(names=[t.task]),
    "WorkflowService.ResumeQueues": lambda t: workflow_service_pb2.ResumeQueuesRequest(names=[t.task]),
    "ScheduleService.CreateCron": lambda t: schedule_service_pb2.CreateCronRequest(spec=_cron(t.task)),
    "ScheduleService.GetCron": lambda t: schedule_service_pb2.GetCronRequest(cron_id=t.cron_id),
    "ScheduleService.ListCrons": lambda _: schedule_service_pb2.ListCronsRequest(),
    "ScheduleService.UpdateCron": lambda t: schedule_service_pb2.UpdateCronRequest(cron_id=t.cron_id, timezone="UTC"),
    "ScheduleService.DeleteCrons": lambda t: schedule_service_pb2.DeleteCronsRequest(cron_ids=[t.cron_id]),
    "ScheduleService.PauseCrons": lambda t: schedule_service_pb2.PauseCronsRequest(cron_ids=[t.cron_id]),
    "ScheduleService.ResumeCrons": lambda t: schedule_service_pb2.ResumeCronsRequest(cron_ids=[t.cron_id]),
    "ScheduleService.ListScheduledRuns": lambda _: schedule_service_pb2.ListScheduledRunsRequest(),
    "ScheduleService.UpdateScheduledRun": lambda t: schedule_service_pb2.UpdateScheduledRunRequest(
        run_id=t.scheduled_id, run_at_ms=FAR_MS + 1
    ),
    "ScheduleService.DeleteScheduledRuns": lambda t: schedule_service_pb2.DeleteScheduledRunsRequest(
        run_ids=[t.scheduled_id]
    ),
    "RateLimitService.PutRateLimit": lambda t: rate_limit_service_pb2.PutRateLimitRequest(
        limit=rate_limit_pb2.RateLimitSetting(key=t.task, limit=1, window_ms=1_000)
    ),
    "RateLimitService.ListRateLimits": lambda _: rate_limit_service_pb2.ListRateLimitsRequest(),
    "RateLimitService.DeleteRateLimit": lambda t: rate_limit_service_pb2.DeleteRateLimitRequest(key=t.task),
    "WorkerService.ListWorkers": lambda _: worker_service_pb2.ListWorkersRequest(),
    "WorkerService.GetWorker": lambda t: worker_service_pb2.GetWorkerRequest(worker_id=t.worker_id),
    "WorkerService.PauseWorkers": lambda t: worker_service_pb2.PauseWorkersRequest(worker_ids=[t.worker_id]),
    "WorkerService.ResumeWorkers": lambda t: worker_service_pb2.ResumeWorkersRequest(worker_ids=[t.worker_id]),
    "WorkerService.ListDispatchers": lambda _: worker_service_pb2.ListDispatchersRequest(),
    "DispatchService.Connect": hello_of,
    "SystemService.GetSystem": lambda _: system_service_pb2.GetSystemRequest(),
    "TokenService.CreateToken": lambda _: token_service_pb2.CreateTokenRequest(scopes=[token_pb2.TOKEN_SCOPE_READ]),
    "TokenService.ListTokens": lambda _: token_service_pb2.ListTokensRequest(),
    "TokenService.RevokeTokens": lambda t: token_service_pb2.RevokeTokensRequest(token_ids=[t.token_id]),
}
