"""Owns every error that the SDK raises, and how errors on the wire become them. Raises nothing itself.

WindlassError
├── InvalidTask (TypeError)          the function cannot be a task as it stands
│   └── DuplicateTask                another function has this task's name
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
└── NonRetryableException            raised by a task: fail now, do not retry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from windlass.v1 import error_pb2, run_pb2

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
    "StoreFull",
    "StoreUnavailable",
    "SyncCallOnLoop",
    "TaskRunError",
    "Unauthorized",
    "UnknownRun",
    "UnknownTask",
    "UnknownWorker",
    "WindlassError",
    "from_detail",
    "from_failure",
    "from_rpc_error",
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
    """The function cannot be a task as it stands: names the file, the line and the way out."""


class DuplicateTask(InvalidTask):
    """Two functions claim one task name: names both."""


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
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.type = type
        self.error = error
        self.traceback = traceback
        self.attempt = attempt
        self.non_retryable = non_retryable


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


class NonRetryableException(WindlassError):
    """Raised by a task to fail its run now, whatever the retry policy says."""


def from_detail(detail: error_pb2.ErrorDetail) -> WindlassError:
    """Turn the engine's typed detail into the error that says the same."""
    build = _BY_REASON.get(detail.reason)
    if build is None:
        return ServerFault(detail.message or "the engine gave no reason")
    return build(detail)


def from_failure(run_id: str, failure: run_pb2.Failure) -> TaskRunError:
    """Turn a recorded failure into the error that `result()` raises."""
    attempts = f" (attempt {failure.attempt})" if failure.attempt > 1 else ""
    said = f": {failure.message}" if failure.message else ""
    return TaskRunError(
        f"run {run_id} failed{attempts}: {failure.type or 'unknown error'}{said}",
        run_id=run_id,
        type=failure.type,
        error=failure.message,
        traceback=failure.traceback,
        attempt=failure.attempt,
        non_retryable=failure.non_retryable,
    )


def from_rpc_error(error: grpc.aio.AioRpcError, address: str) -> WindlassError:
    """Turn a failed call to `address` into a typed error, by its detail where it has one."""
    from windlass.transport.rpc_status import detail_of, error_by_code

    detail = detail_of(error)
    return error_by_code(error, address) if detail is None else from_detail(detail)


def _with_field(detail: error_pb2.ErrorDetail) -> InvalidInput:
    where = f"{detail.field}: " if detail.field and detail.field not in detail.message else ""
    return InvalidInput(where + detail.message, field=detail.field)


def _seconds(detail: error_pb2.ErrorDetail) -> float:
    return detail.retry_after_ms / 1000


def _scopes(detail: error_pb2.ErrorDetail) -> tuple[str, ...]:
    from windlass.v1 import token_pb2

    return tuple(token_pb2.TokenScope.Name(s).removeprefix("TOKEN_SCOPE_").lower() for s in detail.missing_scopes)


#: ErrorReason (by number: the stubs load on first use) to the error that it becomes.
_BY_REASON: dict[int, Callable[[error_pb2.ErrorDetail], WindlassError]] = {
    1: _with_field,
    2: lambda detail: UnknownTask(detail.message),
    3: lambda detail: UnknownRun(detail.message),
    4: lambda detail: UnknownWorker(detail.message),
    5: lambda detail: PayloadTooLarge(detail.message, limit=detail.limit),
    6: lambda detail: RunIdTaken(detail.message),
    7: lambda detail: StoreUnavailable(detail.message, retry_after=_seconds(detail)),
    8: lambda detail: StoreFull(detail.message, retry_after=_seconds(detail)),
    9: lambda detail: ProtocolError(detail.message),
    10: lambda detail: NoDispatcher(detail.message, retry_after=_seconds(detail)),
    11: lambda detail: StoreUnavailable(detail.message, retry_after=_seconds(detail)),
    12: lambda detail: ServerFault(detail.message),
    13: lambda detail: Unauthorized(detail.message, why="missing"),
    14: lambda detail: Unauthorized(detail.message, why="unknown"),
    15: lambda detail: Unauthorized(detail.message, why="expired"),
    16: lambda detail: Unauthorized(detail.message, why="revoked"),
    17: lambda detail: MissingScope(detail.message, scopes=_scopes(detail)),
    18: lambda detail: AlreadyExists(detail.message, field=detail.field),
    19: lambda detail: NotFound(detail.message, field=detail.field),
    20: lambda detail: SlowReader(detail.message, retry_after=_seconds(detail)),
    21: lambda detail: EngineBusy(detail.message, retry_after=_seconds(detail), limit=detail.limit),
}


def refused_batch(errors: dict[str, WindlassError], total: int) -> BatchRefused:
    """Sum up what was refused out of `total` runs."""
    reasons: Sequence[str] = sorted({str(error) for error in errors.values()})
    shown = "; ".join(reasons[:3]) + ("; …" if len(reasons) > 3 else "")  # noqa: PLR2004 - the number says it
    return BatchRefused(f"{len(errors)} of {total} runs were refused: {shown}", errors=errors)
