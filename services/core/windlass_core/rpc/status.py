"""Owns what each of our errors is on the wire: one table, a gRPC status and a typed detail."""

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from windlass.v1 import error_pb2, token_pb2
from windlass_core.domain import errors
from windlass_core.domain.access import Scope
from windlass_core.rpc.outlet import Outlet
from windlass_core.rpc.peer import cut_off

_log = structlog.get_logger(__name__)

# How long a stream that is refused is waited for, to say something first.
FIRST_MESSAGE_S = 0.5
# How long a peer may take to read how its call ended.
UNREAD_STATUS_S = 5.0
# The same for an answer, which may have 4 MiB and come by a slow line.
UNREAD_ANSWER_S = 60.0
_DETAILS = "grpc-status-details-bin"
Code = grpc.StatusCode

STATUSES: dict[type[errors.EngineError], tuple[grpc.StatusCode, "error_pb2.ErrorReason.ValueType"]] = {
    errors.InvalidField: (Code.INVALID_ARGUMENT, error_pb2.ERROR_REASON_INVALID_FIELD),
    errors.TooLarge: (Code.INVALID_ARGUMENT, error_pb2.ERROR_REASON_TOO_LARGE),
    errors.UnknownWorkflow: (Code.NOT_FOUND, error_pb2.ERROR_REASON_UNKNOWN_WORKFLOW),
    errors.UnknownRun: (Code.NOT_FOUND, error_pb2.ERROR_REASON_UNKNOWN_RUN),
    errors.UnknownWorker: (Code.NOT_FOUND, error_pb2.ERROR_REASON_UNKNOWN_WORKER),
    errors.RunIdTaken: (Code.ALREADY_EXISTS, error_pb2.ERROR_REASON_RUN_ID_TAKEN),
    errors.AlreadyExists: (Code.ALREADY_EXISTS, error_pb2.ERROR_REASON_ALREADY_EXISTS),
    errors.NotFound: (Code.NOT_FOUND, error_pb2.ERROR_REASON_NOT_FOUND),
    errors.ProtocolError: (Code.INVALID_ARGUMENT, error_pb2.ERROR_REASON_PROTOCOL),
    errors.SessionReplaced: (Code.FAILED_PRECONDITION, error_pb2.ERROR_REASON_PROTOCOL),
    errors.SlowReader: (Code.RESOURCE_EXHAUSTED, error_pb2.ERROR_REASON_SLOW_READER),
    errors.TooMany: (Code.RESOURCE_EXHAUSTED, error_pb2.ERROR_REASON_TOO_MANY),
    errors.NoDispatcher: (Code.UNAVAILABLE, error_pb2.ERROR_REASON_NO_DISPATCHER),
    errors.ShuttingDown: (Code.UNAVAILABLE, error_pb2.ERROR_REASON_SHUTTING_DOWN),
    errors.StoreUnavailable: (Code.UNAVAILABLE, error_pb2.ERROR_REASON_STORE_UNAVAILABLE),
    errors.StoreFull: (Code.RESOURCE_EXHAUSTED, error_pb2.ERROR_REASON_STORE_FULL),
    errors.Unauthenticated: (Code.UNAUTHENTICATED, error_pb2.ERROR_REASON_TOKEN_UNKNOWN),
    errors.TokenMissing: (Code.UNAUTHENTICATED, error_pb2.ERROR_REASON_TOKEN_MISSING),
    errors.TokenExpired: (Code.UNAUTHENTICATED, error_pb2.ERROR_REASON_TOKEN_EXPIRED),
    errors.TokenRevoked: (Code.UNAUTHENTICATED, error_pb2.ERROR_REASON_TOKEN_REVOKED),
    errors.ScopeMissing: (Code.PERMISSION_DENIED, error_pb2.ERROR_REASON_SCOPE_MISSING),
}

SCOPES: dict[Scope, "token_pb2.TokenScope.ValueType"] = {
    Scope.SUBMIT: token_pb2.TOKEN_SCOPE_SUBMIT,
    Scope.READ: token_pb2.TOKEN_SCOPE_READ,
    Scope.WORK: token_pb2.TOKEN_SCOPE_WORK,
    Scope.SCHEDULE: token_pb2.TOKEN_SCOPE_SCHEDULE,
    Scope.ADMIN: token_pb2.TOKEN_SCOPE_ADMIN,
}


def to_detail(error: errors.EngineError) -> error_pb2.ErrorDetail:
    """The error as a message."""
    return error_pb2.ErrorDetail(
        reason=STATUSES[type(error)][1],
        message=error.message,
        field=getattr(error, "field", ""),
        limit=getattr(error, "limit", 0),
        retry_after_ms=getattr(error, "retry_after_ms", 0),
        missing_scopes=[SCOPES[Scope(name)] for name in getattr(error, "scopes", ())],
    )


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: errors.EngineError) -> NoReturn:
    """Ends the call with the error's status and detail, and a peer that won't read them with its connection."""
    code = STATUSES[type(error)][0]
    number, _name = code.value
    status = Status(code=number, message=error.message)
    packed = AnyMessage()
    packed.Pack(to_detail(error))
    status.details.append(packed)
    try:
        async with asyncio.timeout(UNREAD_STATUS_S):
            await context.abort(code, error.message, ((_DETAILS, status.SerializeToString()),))
    except TimeoutError:
        # A status waits behind what the peer has not read, and it reads nothing. gRPC has no other
        # way to end its call.
        _log.warning("a peer does not read how its call ended: cutting it off", peer=context.peer())
        cut_off(context.peer())
        raise asyncio.CancelledError from None


async def refuse(context: grpc.aio.ServicerContext[Any, Any], error: errors.EngineError, *, reads: bool) -> NoReturn:
    """Ends a call before it has begun. `reads`: its caller streams.

    A grpc.aio client that writes while its stream is refused is told INTERNAL, and not why: what it
    begins with is let in.
    """
    if reads:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_MESSAGE_S):
                await context.read()
    await abort(context, error)


Q = TypeVar("Q")
R = TypeVar("R")
S = TypeVar("S")


@asynccontextmanager
async def _told(context: grpc.aio.ServicerContext[Any, Any], method: str) -> AsyncIterator[None]:
    """Errors become statuses; any other exception is logged, and the caller hears that the engine failed."""
    try:
        yield
    except errors.EngineError as error:
        await abort(context, error)
    except Exception:
        if context.done():
            raise
        _log.exception("call failed", method=method)
        await context.abort(Code.INTERNAL, "the engine failed at this call; its log says why")


def _see_it_read(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """A peer that does not read its answer may not hold it, and its call, for as long as it likes."""
    timer = asyncio.get_running_loop().call_later(UNREAD_ANSWER_S, cut_off, context.peer())
    context.add_done_callback(lambda _context: timer.cancel())  # type: ignore[arg-type]  # the stubs want a class


class Patient(Protocol):
    """A servicer that says for how many seconds a peer may read nothing of a stream."""

    @property
    def unread_s(self) -> float:
        """The seconds."""
        ...


P = TypeVar("P", bound=Patient)


def streaming(
    handler: Callable[[P, Q, grpc.aio.ServicerContext[Q, R]], AsyncGenerator[R, None]],
) -> Callable[[P, Q, grpc.aio.ServicerContext[Q, R]], AsyncIterator[R]]:
    """The same as `unary`, for a handler that yields its responses. A peer that doesn't read them is cut off."""

    @functools.wraps(handler)
    async def handle(self: P, request: Q, context: grpc.aio.ServicerContext[Q, R]) -> None:
        async with _told(context, handler.__name__), aclosing(handler(self, request, context)) as responses:
            await Outlet(context, self.unread_s).write_all(responses)

    return handle  # type: ignore[return-value]  # gRPC takes both kinds, the stubs know the other one


def unary(
    handler: Callable[[S, Q, grpc.aio.ServicerContext[Q, R]], Awaitable[R]],
) -> Callable[[S, Q, grpc.aio.ServicerContext[Q, R]], Awaitable[R]]:
    """A handler whose errors become statuses; any other exception is logged and becomes INTERNAL."""

    @functools.wraps(handler)
    async def handle(self: S, request: Q, context: grpc.aio.ServicerContext[Q, R]) -> R:
        async with _told(context, handler.__name__):
            response = await handler(self, request, context)
        _see_it_read(context)
        return response

    return handle
