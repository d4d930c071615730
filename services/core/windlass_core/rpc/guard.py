"""Owns the one gate that every call of every service passes: who calls, may it, and until when.

A method that the table of scopes does not have is refused to everybody.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
import structlog
from typing_extensions import override

from windlass_core.domain.access import NEEDED, OPEN_SERVICES, Principal, method_name
from windlass_core.domain.errors import EngineError, ScopeMissing, StoreUnavailable, Unauthenticated
from windlass_core.rpc.authentication import Authentication, Grant
from windlass_core.rpc.status import abort, refuse

_log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, Any], Awaitable[Any]]

_caller: ContextVar[Principal] = ContextVar("caller")

# By whether the request, and the answer, is a stream.
_KINDS: dict[tuple[bool, bool], tuple[str, Callable[..., Any]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


def caller() -> Principal:
    """Whose call the running handler serves."""
    return _caller.get()


class Guard(grpc.aio.ServerInterceptor):
    """Before every handler."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler that is to serve the call: the method's own, or one that refuses."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        # gRPC gives None for a method that nobody serves, and answers UNIMPLEMENTED.
        if handler is None or method[1:].rpartition("/")[0] in OPEN_SERVICES:
            return handler
        try:
            grant = await self._authentication.grant_of(handler_call_details.invocation_metadata)
            needed = NEEDED.get(method)
            if needed is None:
                raise ScopeMissing(f"{method_name(method)} is open to nobody: no table says which scope it needs", ())
            grant.principal.check(needed, method_name(method))
        except EngineError as error:
            return _with(handler, _refusing(error, reads=handler.request_streaming))
        _caller.set(grant.principal)
        if grant is self._authentication.anybody:
            return handler
        kind, _ = _KINDS[handler.request_streaming, handler.response_streaming]
        return _with(handler, self._ending_with(grant, method, getattr(handler, kind)))

    def _ending_with(self, granted: Grant, method: str, behave: Callable[[Any, Any], Any]) -> Behaviour:
        behaviour = _writing(behave) if inspect.isasyncgenfunction(behave) else behave

        async def handle(request: Any, context: Any) -> Any:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 — gRPC runs handlers in tasks
            grant = granted
            try:
                # Since it was asked for, the request has been waited for: as long as the caller liked.
                grant = await self._authentication.still(granted)
                grant.enter(task)
                return await behaviour(request, context)
            except (Unauthenticated, StoreUnavailable) as error:
                await abort(context, error)
            except asyncio.CancelledError:
                # The caller may have gone at the same time: then nobody is left to be told.
                if grant.ended is None or task.uncancel() > 0:
                    raise
                _log.info("call ended with its token", token=grant.principal.token_id, method=method)
                await abort(context, grant.ended)
            finally:
                grant.leave(task)

        return handle


def _with(handler: Handler, behaviour: Behaviour) -> Handler:
    """The same handler, behaving otherwise."""
    _, make = _KINDS[handler.request_streaming, handler.response_streaming]
    made: Handler = make(behaviour, handler.request_deserializer, handler.response_serializer)
    return made


def _writing(generate: Callable[[Any, Any], AsyncGenerator[Any, None]]) -> Behaviour:
    """A generator of responses as a coroutine: it can be ended while it writes, too."""

    async def write(request: Any, context: Any) -> None:
        async with aclosing(generate(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return write


def _refusing(error: EngineError, *, reads: bool) -> Behaviour:
    async def behave(_request: Any, context: Any) -> None:
        await refuse(context, error, reads=reads)

    return behave
