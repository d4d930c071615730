"""Owns the reading of gRPC statuses: the typed detail in the trailer, else what the code means here."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from windlass.exceptions import (
    ApiUnreachable,
    PayloadTooLarge,
    ProtocolError,
    ServerFault,
    StoreFull,
    Unauthorized,
    WindlassError,
)
from windlass.transport.error_detail import from_detail
from windlass.v1 import error_pb2

_TRAILER: Final = "grpc-status-details-bin"


def from_rpc_error(error: grpc.aio.AioRpcError, address: str) -> WindlassError:
    """Turn a failed call to `address` into a typed error, by its detail where it has one."""
    detail = detail_of(error)
    return error_by_code(error, address) if detail is None else from_detail(detail)


def detail_of(error: grpc.aio.AioRpcError) -> error_pb2.ErrorDetail | None:
    """Find the typed detail of a failed call; None where the peer sent none that can be read."""
    for key, value in error.trailing_metadata() or ():
        if key == _TRAILER and isinstance(value, bytes):
            return _unpack(value)
    return None


def error_by_code(error: grpc.aio.AioRpcError, address: str) -> WindlassError:
    """Say what a failed call without a detail means."""
    said = error.details() or "no details"
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return unreachable(address, said)
        case grpc.StatusCode.UNIMPLEMENTED:
            return ApiUnreachable(
                f"a gRPC server answers at {address}, but it is no Windlass api ({said}): check that "
                "WINDLASS_API_ADDRESS has the api's port (7070 unless set otherwise; 7071 is a dispatcher's)",
                address=address,
            )
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return Unauthorized(f"the api at {address} refuses this caller ({said}): check WINDLASS_TOKEN")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return PayloadTooLarge(said) if "larger than max" in said else StoreFull(said)
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
            return ProtocolError(f"the api at {address} refuses the call: {said}")
        case code:
            return ServerFault(f"the api at {address} failed with {code.name}: {said}")


def unreachable(address: str, said: str) -> ApiUnreachable:
    """Name the address and what to check."""
    lowered = said.lower()
    if "http1" in lowered or "http/1" in lowered:
        hint = "an HTTP/1 server answers there, not the api: check the port (the api's gRPC is 7070, HTTP is 8080)"
    elif "ssl" in lowered or "handshake" in lowered or "certificate" in lowered:
        hint = "the TLS settings of both ends differ: check WINDLASS_TLS_CA, WINDLASS_TLS_CERT and WINDLASS_TLS_KEY"
    elif "socket closed" in lowered:
        hint = (
            "something there hangs up at once: it is going away, or the TLS settings of both ends differ "
            "(WINDLASS_TLS_CA, WINDLASS_TLS_CERT and WINDLASS_TLS_KEY)"
        )
    elif "dns" in lowered or "resolution" in lowered:
        hint = "the host name cannot be resolved: check WINDLASS_API_ADDRESS"
    else:
        hint = "is it running (`windlass dev` starts everything), and does WINDLASS_API_ADDRESS name its host and port?"
    return ApiUnreachable(f"no Windlass api reached at {address}: {hint} ({said})", address=address)


def _unpack(text: bytes) -> error_pb2.ErrorDetail | None:
    try:
        status = status_pb2.Status.FromString(text)
        for each in status.details:
            detail = error_pb2.ErrorDetail()
            if each.Unpack(detail):
                return detail
    except DecodeError:
        return None
    return None
