"""Owns every error that the SDK raises. Raises nothing itself; `transport/error_detail.py` reads them off the wire.

WindlassError
├── InvalidTask (TypeError)          the function cannot be a task as it stands, nor the workflow be run
│   └── DuplicateTask                another task or workflow has this name
├── InvalidConfig                    a setting holds something that it must not
├── LifespanFailed                   the worker's lifespan did not open
├── InvalidInput (ValueError)        the input does not fit what the task takes
├── SerializationError (TypeError)   a value cannot be written as, or read from, JSON
├── PayloadTooLarge                  input, output or metadata over its limit
├── UnknownTask (LookupError)        nobody has registered a task of that name
├── UnknownRun (LookupError)         no run of that id
├── UnknownWorker (LookupError)      no worker of that id
├── AlreadyExists                    a name or an idempotency key belongs to something else
├── NotFound (LookupError)           nothing of that name or id
├── RunIdTaken                       the run id belongs to a run with another content
├── BatchRefused                     some of the runs of a batch were refused
├── ApiUnreachable                   no connection to the api
├── Unauthorized                     the engine does not know, or does not allow, this caller
│   └── MissingScope                 it knows it, and its token does not allow this
├── StoreUnavailable                 the engine cannot reach its store
├── StoreFull                        the store takes no new work
├── EngineBusy                       this part of the engine serves as many as it may
├── SlowReader                       results were left unread, and the session was cut off
├── NoDispatcher                     no dispatcher is alive
├── EngineNotInstalled               only the SDK is installed, and the engine is wanted
├── ProtocolError                    the peer does not keep to the contracts
├── ServerFault                      a fault of the engine's own
├── ResultTimeout (TimeoutError)     the caller's patience ended; the run goes on
├── TaskRunError                     the run ended FAILED
├── RunCancelled                     the run ended CANCELLED
├── SyncCallOnLoop (RuntimeError)    a blocking call where it would deadlock
├── ForkedClient (RuntimeError)      a connection was carried through fork()
├── ClientClosed (RuntimeError)      the client has been closed
├── SoftTimeoutExceeded              raised inside a task: its time is nearly over
└── NonRetryableException            raised by a task: fail now, do not retry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "AlreadyExists",
    "ApiUnreachable",
    "BatchRefused",
    "ClientClosed",
    "DuplicateTask",
    "EngineBusy",
    "EngineNotInstalled",
    "ForkedClient",
    "InvalidConfig",
    "InvalidInput",
    "InvalidTask",
    "LifespanFailed",
    "MissingScope",
    "NoDispatcher",
    "NonRetryableException",
    "NotFound",
    "PayloadTooLarge",
    "ProtocolError",
    "ResultTimeout",
    "RunCancelled",
    "RunIdTaken",
    "SerializationError",
    "ServerFault",
    "SlowReader",
    "SoftTimeoutExceeded",
    "StoreFull",
    "StoreUnavailable",
    "SyncCallOnLoop",
    "TaskRunError",
    "Unauthorized",
    "UnknownRun",
    "UnknownTask",
    "UnknownWorker",
    "WindlassError",
]


class WindlassError(Exception):
    """Every error of the SDK is one of these. The first argument says what to do about it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """What went wrong, for people."""
        return str(self.args[0]) if self.args else ""


class InvalidTask(WindlassError, TypeError):
    """The function cannot be a task as it stands, or the workflow not be run: names file, line and the way out."""


class DuplicateTask(InvalidTask):
    """Two tasks or workflows claim one name, or two tasks of one workflow: names both."""


class InvalidConfig(WindlassError):
    """A setting holds something that it must not: names the setting and what it takes."""


class LifespanFailed(WindlassError):
    """A worker's lifespan raised before it yielded: what it raised is the cause."""


class InvalidInput(WindlassError, ValueError):
    """The input does not fit what the task takes, or a field of a request is wrong.

    Attributes:
        field: the field at fault as a path, or "".

    """

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class SerializationError(WindlassError, TypeError):
    """A value cannot be written as JSON, or read back from it: names its type."""


class PayloadTooLarge(WindlassError):
    """An input, an output or metadata is over its limit.

    Attributes:
        limit: the limit in bytes.
        size: the size in bytes; 0 where only the server knows it.

    """

    def __init__(self, message: str = "", *, limit: int = 0, size: int = 0) -> None:
        super().__init__(message)
        self.limit = limit
        self.size = size


class UnknownTask(WindlassError, LookupError):
    """Nobody, neither a worker nor a client, has registered a task of that name."""


class UnknownRun(WindlassError, LookupError):
    """The namespace has no run of that id: never submitted, or expired."""


class UnknownWorker(WindlassError, LookupError):
    """The namespace has no worker of that id."""


class AlreadyExists(WindlassError):
    """A name, or an idempotency key, belongs to something with another content.

    Attributes:
        field: the field at fault as a path, or "".

    """

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFound(WindlassError, LookupError):
    """The namespace has nothing of that name or id.

    Attributes:
        field: the field at fault as a path, or "".

    """

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class RunIdTaken(WindlassError):
    """The run id belongs to a run with another content."""


class BatchRefused(WindlassError):
    """Some runs of a batch were refused; the others were accepted.

    Attributes:
        errors: run id to the error that refused it.

    """

    def __init__(self, message: str = "", *, errors: dict[str, WindlassError] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class ApiUnreachable(WindlassError):
    """No connection to the api.

    Attributes:
        address: where it was looked for.

    """

    def __init__(self, message: str = "", *, address: str = "") -> None:
        super().__init__(message)
        self.address = address


class Unauthorized(WindlassError):
    """The engine does not know, or does not allow, this caller: check WINDLASS_TOKEN and TLS.

    Attributes:
        why: what is the matter with the token: "missing", "unknown", "expired" or "revoked"; "" where
            it is something else.

    """

    def __init__(self, message: str = "", *, why: Literal["missing", "unknown", "expired", "revoked", ""] = "") -> None:
        super().__init__(message)
        self.why = why


class MissingScope(Unauthorized):
    """The token is good, and does not allow this.

    Attributes:
        scopes: any one of them would do, as "submit" or "read".

    """

    def __init__(self, message: str = "", *, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.scopes = scopes


class _Passing(WindlassError):
    """An error that may pass by waiting.

    Attributes:
        retry_after: seconds after which trying again makes sense; 0 where waiting does not help.

    """

    def __init__(self, message: str = "", *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(_Passing):
    """The engine cannot reach its store."""


class StoreFull(_Passing):
    """The store's memory is full: new work is refused while accepted work goes on."""


class EngineBusy(_Passing):
    """This part of the engine serves as many as it may: another replica has room, or this one later.

    Attributes:
        limit: how many it serves.

    """

    def __init__(self, message: str = "", *, retry_after: float = 0.0, limit: int = 0) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit


class SlowReader(_Passing):
    """What the engine sent was left unread for long, and it cut the session off: another one is opened."""


class NoDispatcher(_Passing):
    """No dispatcher is alive."""


class EngineNotInstalled(WindlassError):
    """What was asked for runs the engine, and only the SDK is installed."""


class ProtocolError(WindlassError):
    """The peer does not keep to the contracts, mostly because its version is another."""


class ServerFault(WindlassError):
    """A fault of the engine's own: its log has more."""


class ResultTimeout(WindlassError, TimeoutError):
    """The caller's patience ended before the run did; the run goes on.

    Attributes:
        run_id: the run, to ask again later.
        acknowledged: whether the engine has said that it has the run.

    """

    def __init__(self, message: str = "", *, run_id: str = "", acknowledged: bool = True) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.acknowledged = acknowledged


class TaskRunError(WindlassError):
    """The run ended FAILED.

    Attributes:
        run_id: the run.
        type: name of the exception's type where it was raised.
        error: its message.
        traceback: its traceback as text.
        attempt: which attempt failed last, from 1.
        non_retryable: whether the task forbade another attempt.
        replay: how often the run had been replayed before that attempt.
        out_of_budget: whether the retry budget of the workflow forbade it.
        worker_id: the worker that had the attempt.
        started_at: when it was given to the worker, in UTC.
        failed_at: when the engine recorded the failure, in UTC.

    """

    def __init__(
        self,
        message: str = "",
        *,
        run_id: str = "",
        type: str = "",  # noqa: A002 - named for what it carries
        error: str = "",
        traceback: str = "",
        attempt: int = 0,
        non_retryable: bool = False,
        replay: int = 0,
        out_of_budget: bool = False,
        worker_id: str = "",
        started_at: datetime | None = None,
        failed_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.type = type
        self.error = error
        self.traceback = traceback
        self.attempt = attempt
        self.non_retryable = non_retryable
        self.replay = replay
        self.out_of_budget = out_of_budget
        self.worker_id = worker_id
        self.started_at = started_at
        self.failed_at = failed_at


class RunCancelled(WindlassError):
    """The run ended CANCELLED.

    Attributes:
        run_id: the run.
        reason: why, for people.

    """

    def __init__(self, message: str = "", *, run_id: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id
        self.reason = reason


class SyncCallOnLoop(WindlassError, RuntimeError):
    """A blocking call on a loop that would deadlock: names the `aio_` call to use in its place."""


class ForkedClient(WindlassError, RuntimeError):
    """A connection was carried through fork(), which gRPC does not survive."""


class ClientClosed(WindlassError, RuntimeError):
    """The client has been closed."""


class SoftTimeoutExceeded(WindlassError):
    """Raised inside a task once its soft timeout is over: clean up and end, with an output or without.

    Where the task does not catch it the attempt fails with it, and is retried as after any failure.
    """

    def __init__(self, message: str = "the soft timeout of this attempt is over") -> None:
        super().__init__(message)


class NonRetryableException(WindlassError):
    """Raised by a task to fail its run now, whatever the retry policy says."""
