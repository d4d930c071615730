"""Owns the gRPC server that all three services run: limits, keepalive, health, reflection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from grpc_health.v1 import health as health_names
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from windlass_core.domain.limits import MAX_MESSAGE_BYTES
from windlass_core.tls import ServerTls

# A message of 4 MiB of content has a little more on the wire.
_MAX_WIRE_BYTES = MAX_MESSAGE_BYTES + 64 * 1024

# Headers of a call: a token, a trace and its baggage take a few KiB.
MAX_HEADER_BYTES = 32 * 1024
# Calls open on one connection; a client keeps further ones back until one of them has ended.
MAX_CALLS_PER_CONNECTION = 1_000

OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_WIRE_BYTES),
    ("grpc.max_send_message_length", _MAX_WIRE_BYTES),
    # Between the two gRPC would refuse some and take others.
    ("grpc.max_metadata_size", MAX_HEADER_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
    ("grpc.max_concurrent_streams", MAX_CALLS_PER_CONNECTION),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Or it would ask twice and then leave an idle peer alone for minutes.
    ("grpc.http2.max_pings_without_data", 0),
    # Peers may ask as often as the settings here allow; one that asks much more often is sent away.
    ("grpc.http2.min_ping_interval_without_data_ms", 900),
    ("grpc.http2.max_ping_strikes", 10),
)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How often a silent connection is asked for a sign of life, and how long one is waited for."""

    interval: timedelta
    timeout: timedelta

    def options(self) -> tuple[tuple[str, int], ...]:
        """The same for gRPC."""
        return (
            ("grpc.keepalive_time_ms", int(self.interval.total_seconds() * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.timeout.total_seconds() * 1000)),
        )


class BindRefused(Exception):
    """The address can't be listened on."""


class Server:
    """A gRPC server with the standard health service and reflection.

    A connection as old as `connection_age_s` takes no new calls: its client connects anew, after having
    looked up the name that it was given. Calls under way are not cut.
    """

    def __init__(
        self,
        services: Sequence[str],
        guard: grpc.aio.ServerInterceptor,
        keepalive: Keepalive,
        connection_age_s: float | None = None,
    ) -> None:
        age = () if connection_age_s is None else (("grpc.max_connection_age_ms", int(connection_age_s * 1000)),)
        options = (*OPTIONS, *keepalive.options(), *age)
        self.grpc = grpc.aio.server(interceptors=(guard,), options=options)
        self.port = 0
        self._health = health.HealthServicer()
        self._names = ("", *services)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        reflection.enable_server_reflection((*services, health_names.SERVICE_NAME, reflection.SERVICE_NAME), self.grpc)

    async def start(self, listen: str, tls: ServerTls | None = None) -> None:
        """Listens; `port` is then the actual one. Raises BindRefused, TlsRefused."""
        credentials = None if tls is None else tls.credentials()
        try:
            if credentials is None:
                self.port = self.grpc.add_insecure_port(listen)
            else:
                self.port = self.grpc.add_secure_port(listen, credentials)
        except RuntimeError as error:
            raise BindRefused(f"can't listen on {listen}: is it in use?") from error
        await self.grpc.start()

    async def set_serving(self, serving: bool) -> None:
        """What the health service answers."""
        status = health_pb2.HealthCheckResponse.ServingStatus
        for name in self._names:
            await self._health.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls and ends open ones after the grace. May be called twice."""
        await self.grpc.stop(grace_s)
