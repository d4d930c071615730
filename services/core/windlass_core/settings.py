"""Owns what the services can be set to. Read once, in each service's `__main__`.

Every field is `WINDLASS_` and its name in capitals, from the environment or `.env`. The page
docs/settings.md is generated from here.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from windlass_core.domain.address import is_local
from windlass_core.store.connection import SCHEMES, TLS_SCHEMES, redact
from windlass_core.tls import ServerTls, StoreTls


def _duration(value: object) -> object:
    """Plain numbers are seconds, in the environment too, where all values are text."""
    if isinstance(value, str) and value.strip().replace(".", "", 1).isdigit():
        return timedelta(seconds=float(value))
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
# Set to nothing is not set.
OptionalFile = Annotated[Path | None, BeforeValidator(lambda value: value or None)]

_HTTP = "host:port for HTTP: health and metrics"


class SettingsRefused(Exception):
    """A setting has a value that it can't have; the message names it and what was expected."""


class ServiceSettings(BaseSettings):
    """What all three services share."""

    model_config = SettingsConfigDict(env_prefix="WINDLASS_", env_file=".env", extra="ignore", frozen=True)

    store_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis 7.0 or Valkey 7.2 and newer: redis://, rediss://, valkey://, valkeys:// or unix:// URL",
    )
    store_ca: OptionalFile = Field(None, description="PEM file with the authorities to trust at a rediss:// store")
    store_cert: OptionalFile = Field(None, description="PEM file with this process's certificate for the store")
    store_key: OptionalFile = Field(None, description="PEM file with the key that belongs to store_cert")
    listen_cert: OptionalFile = Field(None, description="PEM file with the certificate chain of gRPC; turns TLS on")
    listen_key: OptionalFile = Field(None, description="PEM file with the key that belongs to listen_cert")
    listen_client_ca: OptionalFile = Field(
        None, description="PEM file with the authorities whose clients are let in; turns mutual TLS on"
    )
    advertise: str = Field(
        "",
        description="host:port under which others reach this process; if empty, where it listens, "
        "with this machine's host name in place of a wildcard",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe log line that is written"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="json for programs, text for people; auto: text on a terminal"
    )
    metrics_token: SecretStr | None = Field(
        None, description="bearer token for `/metrics`; without it only loopback addresses serve them"
    )
    session_ttl: Duration = Field(
        timedelta(seconds=15), description="a worker that is silent for so long has lost its work"
    )
    heartbeat_interval: Duration = Field(timedelta(seconds=5), description="how often a worker says that it is alive")
    keepalive_interval: Duration = Field(
        timedelta(seconds=20), description="a connection on which nothing comes is asked for a sign of life so often"
    )
    keepalive_timeout: Duration = Field(
        timedelta(seconds=10), description="a connection that gives no sign of life for so long is broken off"
    )
    max_streams: int = Field(
        5_000, ge=1, description="clients' streams that one api, and workers that one dispatcher takes at once"
    )
    max_unread_bytes: int = Field(
        16 * 1024 * 1024,
        ge=64 * 1024,
        description="bytes kept for a client or worker that reads slowly; what is over is fetched again later",
    )
    shutdown_grace: Duration = Field(
        timedelta(seconds=10), description="how long open calls may take to end on SIGTERM"
    )
    require_tokens: bool = Field(
        False,
        description="refuse calls without a token; else only loopback is listened on, and any caller may do all",
    )

    @field_validator("store_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(SCHEMES):
            raise ValueError(f"expected a URL with one of {', '.join(SCHEMES)}")
        return value

    @model_validator(mode="after")
    def _related(self) -> Self:
        if self.heartbeat_interval * 3 > self.session_ttl:
            raise ValueError("session_ttl must be at least three times heartbeat_interval")
        if self.keepalive_interval < timedelta(seconds=1):
            raise ValueError("keepalive_interval must be at least one second")
        return self

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for name, cert, key in (
            ("STORE", self.store_cert, self.store_key),
            ("LISTEN", self.listen_cert, self.listen_key),
        ):
            if (cert is None) != (key is None):
                raise ValueError(f"WINDLASS_{name}_CERT and WINDLASS_{name}_KEY belong together: give both or neither")
        if self.listen_client_ca is not None and self.listen_cert is None:
            raise ValueError("WINDLASS_LISTEN_CLIENT_CA goes with WINDLASS_LISTEN_CERT and WINDLASS_LISTEN_KEY")
        if (self.store_ca or self.store_cert) and not self.store_url.startswith(TLS_SCHEMES):
            raise ValueError(
                f"WINDLASS_STORE_CA and WINDLASS_STORE_CERT go with a {' or '.join(TLS_SCHEMES)} store, "
                f"and WINDLASS_STORE_URL is {redact(self.store_url)}"
            )
        return self

    @property
    def store_tls(self) -> StoreTls:
        """How the store is spoken to where its URL says TLS."""
        return StoreTls(self.store_ca, self.store_cert, self.store_key)

    @property
    def server_tls(self) -> ServerTls | None:
        """How gRPC is served; None: in the clear."""
        if self.listen_cert is None or self.listen_key is None:
            return None
        return ServerTls(self.listen_cert, self.listen_key, self.listen_client_ca)

    @model_validator(mode="after")
    def _fails_closed(self) -> Self:
        listen = getattr(self, "listen", "")
        if listen and not self.require_tokens and not is_local(listen):
            raise ValueError(
                f"WINDLASS_LISTEN={listen} can be reached from other machines, and no tokens are asked for: set "
                "WINDLASS_REQUIRE_TOKENS=true and make a first token with `windlass token create --store`, "
                "or listen on 127.0.0.1"
            )
        return self


class ApiSettings(ServiceSettings):
    """The api's."""

    listen: str = Field("127.0.0.1:7070", description="host:port for gRPC")
    http_listen: str = Field("127.0.0.1:8080", description=_HTTP)
    connection_age: Duration = Field(
        timedelta(minutes=5),
        gt=timedelta(0),
        description="clients connect anew after about so long, so that replicas that came later get their share",
    )
    unread_timeout: Duration = Field(
        timedelta(seconds=20), description="a client that reads nothing of what waits for it for so long is cut off"
    )
    max_unstored_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1,
        description="bytes of submitted runs that wait for the store; while there are more, no further ones are read",
    )


class DispatcherSettings(ServiceSettings):
    """The dispatcher's."""

    listen: str = Field("127.0.0.1:7071", description="host:port for workers' streams")
    http_listen: str = Field("127.0.0.1:8081", description=_HTTP)
    accept_timeout: Duration = Field(
        timedelta(seconds=5),
        description="a worker that has not accepted an assignment by then is taken for deaf",
    )
    max_unstored_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1,
        description="bytes of workers' reports that wait for the store; while there are more, no further ones are read",
    )
    cancel_grace: Duration = Field(
        timedelta(seconds=1), description="how long a cancelled attempt may go on before it is stopped"
    )


class SchedulerSettings(ServiceSettings):
    """The scheduler's."""

    listen: str = Field("127.0.0.1:7072", description="host:port for the health service")
    http_listen: str = Field("127.0.0.1:8082", description=_HTTP)
    retention: Duration = Field(timedelta(hours=24), description="how long runs are kept after they ended")


S = TypeVar("S", bound=ServiceSettings)


def read_settings(cls: type[S]) -> S:
    """The settings as they are. Raises SettingsRefused."""
    try:
        return cls()
    except ValidationError as error:
        told = "; ".join(
            f"{_variable(e['loc'])}: {e['msg']}, got {_shown(e['input'])}"
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors(include_url=False)
        )
        raise SettingsRefused(told) from error


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]).upper()
    return name if name.startswith("WINDLASS_") else f"WINDLASS_{name}"


def _shown(value: object) -> str:
    """The value for people, without a password that it may hold."""
    return repr(redact(value) if isinstance(value, str) and "://" in value else value)
