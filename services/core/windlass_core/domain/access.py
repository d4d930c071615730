"""Owns who may do what: scopes, principals, and the one table of which call needs which scope.

How a principal is found is `rpc/authentication.py`'s; what a token looks like is `token.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from windlass_core.domain.errors import ScopeMissing
from windlass_core.domain.names import DEFAULT_NAMESPACE


class Scope(StrEnum):
    """What a token allows."""

    SUBMIT = "submit"
    READ = "read"
    WORK = "work"
    SCHEDULE = "schedule"
    ADMIN = "admin"


_SUBMIT: Final = frozenset({Scope.SUBMIT})
_READ: Final = frozenset({Scope.READ})
_WORK: Final = frozenset({Scope.WORK})
_SCHEDULE: Final = frozenset({Scope.SCHEDULE})
_ADMIN: Final = frozenset({Scope.ADMIN})
# A worker registers what it can run, and a task may cancel its own run.
_SUBMIT_OR_WORK: Final = _SUBMIT | _WORK

#: Whoever reaches the port may call these: health and reflection tell nothing of anybody's work.
OPEN_SERVICES: Final = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)

#: Method → the scopes any one of which is needed; admin always is enough. A method that is not here
#: is refused to everybody.
NEEDED: Final[Mapping[str, frozenset[Scope]]] = {
    "/windlass.v1.RunService/SubmitRuns": _SUBMIT,
    "/windlass.v1.RunService/GetRun": _READ,
    "/windlass.v1.RunService/ListRuns": _READ,
    "/windlass.v1.RunService/CancelRuns": _SUBMIT_OR_WORK,
    "/windlass.v1.RunService/ReplayRuns": _SUBMIT,
    "/windlass.v1.RunService/DeleteRuns": _SUBMIT,
    "/windlass.v1.RunService/WaitResult": _READ,
    "/windlass.v1.RunService/ListLogs": _READ,
    "/windlass.v1.RunService/TailLogs": _READ,
    "/windlass.v1.RunService/SubscribeToStream": _READ,
    "/windlass.v1.RunService/WatchRuns": _READ,
    # And each message by itself, as below.
    "/windlass.v1.RunService/Session": _SUBMIT | _READ | _WORK,
    "/windlass.v1.WorkflowService/RegisterWorkflows": _SUBMIT_OR_WORK,
    "/windlass.v1.WorkflowService/GetWorkflow": _READ,
    "/windlass.v1.WorkflowService/ListWorkflows": _READ,
    "/windlass.v1.WorkflowService/PauseWorkflows": _ADMIN,
    "/windlass.v1.WorkflowService/ResumeWorkflows": _ADMIN,
    "/windlass.v1.WorkflowService/ListQueues": _READ,
    "/windlass.v1.WorkflowService/PauseQueues": _ADMIN,
    "/windlass.v1.WorkflowService/ResumeQueues": _ADMIN,
    "/windlass.v1.ScheduleService/CreateCron": _SCHEDULE,
    "/windlass.v1.ScheduleService/GetCron": _READ,
    "/windlass.v1.ScheduleService/ListCrons": _READ,
    "/windlass.v1.ScheduleService/UpdateCron": _SCHEDULE,
    "/windlass.v1.ScheduleService/DeleteCrons": _SCHEDULE,
    "/windlass.v1.ScheduleService/PauseCrons": _SCHEDULE,
    "/windlass.v1.ScheduleService/ResumeCrons": _SCHEDULE,
    "/windlass.v1.ScheduleService/ListScheduledRuns": _READ,
    "/windlass.v1.ScheduleService/UpdateScheduledRun": _SCHEDULE,
    "/windlass.v1.ScheduleService/DeleteScheduledRuns": _SCHEDULE,
    "/windlass.v1.RateLimitService/PutRateLimit": _ADMIN,
    "/windlass.v1.RateLimitService/ListRateLimits": _READ,
    "/windlass.v1.RateLimitService/DeleteRateLimit": _ADMIN,
    "/windlass.v1.WorkerService/ListWorkers": _READ,
    "/windlass.v1.WorkerService/GetWorker": _READ,
    "/windlass.v1.WorkerService/PauseWorkers": _ADMIN,
    "/windlass.v1.WorkerService/ResumeWorkers": _ADMIN,
    "/windlass.v1.WorkerService/ListDispatchers": _WORK,
    "/windlass.v1.DispatchService/Connect": _WORK,
    "/windlass.v1.SystemService/GetSystem": frozenset(Scope),
    "/windlass.v1.TokenService/CreateToken": _ADMIN,
    "/windlass.v1.TokenService/ListTokens": _ADMIN,
    "/windlass.v1.TokenService/RevokeTokens": _ADMIN,
}

#: Whoever cancels runs that it can't name.
CANCEL_BY_FILTER: Final = _SUBMIT

#: What a message on a Session stream needs.
SESSION_SUBMIT: Final = _SUBMIT
SESSION_WATCH: Final = _READ
SESSION_REGISTER: Final = _SUBMIT_OR_WORK


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: whose it is and what it may do. `token_id` is empty where none was asked for."""

    namespace: str
    scopes: frozenset[Scope]
    token_id: str = ""

    def has(self, needed: frozenset[Scope]) -> bool:
        """Whether it has any one of the scopes, or all there are."""
        return Scope.ADMIN in self.scopes or not needed.isdisjoint(self.scopes)

    def check(self, needed: frozenset[Scope], what: str) -> None:
        """Raises ScopeMissing, which names `what` was asked for."""
        if not self.has(needed):
            names = sorted(needed)
            raise ScopeMissing(
                f"{what} needs the scope {' or '.join(names)}, and the token {self.token_id} has only "
                f"{', '.join(sorted(self.scopes)) or 'none'}",
                tuple(names),
            )


#: Everybody, where no tokens are asked for: only on loopback.
ANYBODY: Final = Principal(DEFAULT_NAMESPACE, frozenset(Scope))


def method_name(method: str) -> str:
    """A method for people: `RunService.GetRun` for `/windlass.v1.RunService/GetRun`."""
    service, _, name = method.removeprefix("/").rpartition("/")
    return f"{service.rpartition('.')[2]}.{name}"
