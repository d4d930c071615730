"""A cluster that wants tokens, and calls of any RPC by its descriptor, with any token."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass

import windlass.v1
from tests.support.raw_client import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from google.protobuf.descriptor import MethodDescriptor

    from windlass_core.local import LocalCluster

Metadata = tuple[tuple[str, str], ...]


def bearer(text: str) -> Metadata:
    """What a call with that token carries."""
    return (("authorization", f"Bearer {text}"),)


def all_methods() -> dict[str, MethodDescriptor]:
    """Every RPC of every service in `proto/`, by the name that it has on the wire."""
    found: dict[str, MethodDescriptor] = {}
    for module in pkgutil.iter_modules(windlass.v1.__path__):
        if module.name.endswith("_service_pb2"):
            services = importlib.import_module(f"windlass.v1.{module.name}").DESCRIPTOR.services_by_name
            for service in services.values():
                found.update({f"/{service.full_name}/{method.name}": method for method in service.methods})
    return found


@dataclass(frozen=True)
class AnyCaller:
    """Calls of any RPC, at whichever service serves it."""

    api: grpc.aio.Channel
    dispatcher: grpc.aio.Channel

    def open(self, name: str, request: Any, metadata: Metadata = ()) -> Any:
        """The call, begun; a stream of requests has sent none."""
        method = all_methods()[name]
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        channel = self.dispatcher if "DispatchService" in name else self.api
        call = getattr(channel, kind)(
            name,
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return call(metadata=metadata) if method.client_streaming else call(request, metadata=metadata)

    async def first(self, name: str, request: Any, metadata: Metadata = ()) -> Any:
        """The answer, of a stream the first one. Raises AioRpcError."""
        method = all_methods()[name]
        call = self.open(name, request, metadata)
        async with asyncio.timeout(PATIENCE_S):
            if not method.server_streaming:
                return await call
            if method.client_streaming:
                await call.write(request)
            answer = await call.read()
            if answer is grpc.aio.EOF:
                raise await _error(call)
        call.cancel()
        return answer


async def ending(call: Any) -> grpc.aio.AioRpcError:
    """How a call ends by itself; what still comes is dropped."""
    async with asyncio.timeout(PATIENCE_S):
        if not hasattr(call, "read"):
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error
        else:
            try:
                while await call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError as error:
                return error
        return await _error(call)


async def _error(call: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        await call.code(), await call.initial_metadata(), await call.trailing_metadata(), await call.details()
    )


@asynccontextmanager
async def any_caller(cluster: LocalCluster, place: int = 0) -> AsyncIterator[AnyCaller]:
    """Channels of one's own to an api and a dispatcher."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    api, dispatcher = (
        grpc.aio.insecure_channel(f"127.0.0.1:{cluster.processes(name)[place].ports['grpc']}", options=options)
        for name in ("api", "dispatcher")
    )
    async with api, dispatcher:
        yield AnyCaller(api, dispatcher)


def logs_of(cluster: LocalCluster) -> Iterator[tuple[str, str]]:
    """What each service has written, by its process's name."""
    for path in sorted(cluster._logs.glob("*.log")):
        yield path.stem, path.read_text("utf-8", errors="replace")
