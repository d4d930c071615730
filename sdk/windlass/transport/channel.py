"""Owns how a channel to the engine is opened: limits, keepalive, replicas, TLS, token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

from windlass.config import REPLICATED
from windlass.exceptions import InvalidConfig
from windlass.transport.io_thread import io_thread

if TYPE_CHECKING:
    from windlass.config import ClientConfig

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The callers here have a back-off of their own; gRPC's would reach two minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Several clients of one process keep connections of their own.
    ("grpc.use_local_subchannel_pool", 1),
)

_REPLICAS: Final = (
    # Connects to all of them; each call and each stream takes the next one that is up.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # A connection that ends has the name looked up again, at most this often; gRPC's own is 30 s.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
)


def open_channel(address: str, config: ClientConfig) -> grpc.aio.Channel:
    """Open a channel to `address`. Call it on the I/O thread; nothing is sent yet."""
    io_thread().used_by_grpc = True
    options: tuple[tuple[str, int | str], ...] = (
        *_OPTIONS,
        ("grpc.keepalive_time_ms", int(config.keepalive_interval * 1000)),
        ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
        *(_REPLICAS if address.startswith(REPLICATED) else ()),
    )
    if config.tls_ca is None and config.tls_cert is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=config.tls_ca.read_bytes() if config.tls_ca is not None else None,
        private_key=config.tls_key.read_bytes() if config.tls_key is not None else None,
        certificate_chain=config.tls_cert.read_bytes() if config.tls_cert is not None else None,
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


def call_metadata(config: ClientConfig) -> tuple[tuple[str, str], ...] | None:
    """Give what every call has to carry: the token. Pass it as `metadata=`.

    gRPC's own call credentials would need TLS even on loopback.

    Raises:
        InvalidConfig: the token's file can't be read, or what is there is no token.

    """
    if config.token_file is not None:
        source = f"WINDLASS_TOKEN_FILE={config.token_file}"
        try:
            token = config.token_file.read_text("utf-8", errors="replace").strip()
        except OSError as error:
            raise InvalidConfig(f"{source}: {error.strerror}") from None
    else:
        source = "WINDLASS_TOKEN"
        token = config.token.get_secret_value().strip() if config.token is not None else ""
    if not token:
        return None
    if any(not "!" <= character <= "~" for character in token):  # gRPC would refuse to send it, without saying why
        raise InvalidConfig(f"{source}: a token was expected, one word without spaces and line breaks")
    return (("authorization", f"Bearer {token}"),)
