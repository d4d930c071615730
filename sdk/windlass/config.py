"""Owns the SDK's settings: where the api is and how to speak to it. Connects to nothing."""

from __future__ import annotations

import difflib
import os
import warnings
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from windlass.exceptions import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "WINDLASS_"

#: Settings that others read: the services, the local cluster, the tests. Never warned about.
OTHERS_SETTINGS: Final = frozenset(
    {
        "WINDLASS_ACCEPT_TIMEOUT",
        "WINDLASS_ADVERTISE",
        "WINDLASS_API_PORT",
        "WINDLASS_CANCEL_GRACE",
        "WINDLASS_CONNECTION_AGE",
        "WINDLASS_DATA_DIR",
        "WINDLASS_DISPATCHER_PORT",
        "WINDLASS_HEARTBEAT_INTERVAL",
        "WINDLASS_HTTP_LISTEN",
        "WINDLASS_HTTP_PORT",
        "WINDLASS_LISTEN",
        "WINDLASS_LISTEN_CERT",
        "WINDLASS_LISTEN_CLIENT_CA",
        "WINDLASS_LISTEN_KEY",
        "WINDLASS_LOG_FORMAT",
        "WINDLASS_MAX_STREAMS",
        "WINDLASS_MAX_UNREAD_BYTES",
        "WINDLASS_MAX_UNSTORED_BYTES",
        "WINDLASS_METRICS_TOKEN",
        "WINDLASS_REQUIRE_TOKENS",
        "WINDLASS_RETENTION",
        "WINDLASS_SESSION_TTL",
        "WINDLASS_SHUTDOWN_GRACE",
        "WINDLASS_STORE_CA",
        "WINDLASS_STORE_CERT",
        "WINDLASS_STORE_KEY",
        "WINDLASS_STORE_URL",
        "WINDLASS_UNREAD_TIMEOUT",
    }
)


class UnknownSettingWarning(UserWarning):
    """A WINDLASS_* variable that nothing reads, mostly a slip of the keyboard."""


#: How an address begins that stands for several replicas; calls go to those that answer, in turn.
REPLICATED: Final = ("dns:///", "ipv4:", "ipv6:")


def _check_address(address: str) -> str:
    if not address or address.startswith("unix:"):
        return address
    scheme = next((each for each in REPLICATED if address.startswith(each)), "")
    several = scheme.startswith("ip")
    for each in address.removeprefix(scheme).split(",") if several else [address.removeprefix(scheme)]:
        _check_host_and_port(each)
        if several:
            _check_numeric(each.rpartition(":")[0], scheme)
    return address


def _check_host_and_port(address: str) -> None:
    if "://" in address:
        msg = (
            "host:port was expected, or dns:///host:port, and no other scheme "
            "(the api speaks gRPC; TLS is set by WINDLASS_TLS_CA)"
        )
        raise ValueError(msg)
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        msg = "host:port was expected, and the port is missing (the api's is 7070 unless set otherwise)"
        raise ValueError(msg)
    if not port.isdecimal() or not 1 <= int(port) <= _LAST_PORT:
        msg = f"a port from 1 to {_LAST_PORT} was expected after the colon"
        raise ValueError(msg)


def _check_numeric(host: str, scheme: str) -> None:
    try:
        right = ip_address(host.strip("[]")).version == int(scheme[3])
    except ValueError:
        right = False
    if not right:
        msg = f"addresses in numbers were expected after {scheme} (one name for all of them: dns:///host:port)"
        raise ValueError(msg)


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


_LAST_PORT: Final = 65535

Address = Annotated[str, BeforeValidator(_strip), AfterValidator(_check_address)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
OptionalFile = Annotated[Path | None, BeforeValidator(_blank_is_none)]


class _KnownDotEnv(DotEnvSettingsSource):
    """Takes from .env what is the SDK's; the file belongs to the whole project."""

    @override
    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        return {name: value for name, value in super().__call__().items() if name in fields}


class ClientConfig(BaseSettings):
    """Where the api is and how to speak to it.

    Each field is read from its WINDLASS_* variable, then from `.env`, unless it is given here.

    Raises:
        InvalidConfig: a value is wrong; names the variable and what it takes.

    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    api_address: Address = Field(
        default="127.0.0.1:7070",
        min_length=1,
        description="The api, as host:port; several replicas of it as dns:///host:port, all that the name stands for, "
        "or as ipv4:10.0.0.1:7070,10.0.0.2:7070.",
    )
    token: SecretStr | None = Field(default=None, description="Sent with every call.")
    token_file: OptionalFile = Field(
        default=None, description="File that holds the token, read at each connection; in place of WINDLASS_TOKEN."
    )
    dispatcher_address: Address = Field(
        default="", description="The dispatcher that workers connect to; empty: ask the api."
    )
    tls_ca: OptionalFile = Field(default=None, description="PEM file with the authorities to trust; turns TLS on.")
    tls_cert: OptionalFile = Field(default=None, description="PEM file with this client's certificate (mutual TLS).")
    tls_key: OptionalFile = Field(default=None, description="PEM file with the key that belongs to tls_cert.")
    log_level: LogLevel = Field(default="INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    keepalive_interval: float = Field(
        default=20.0,
        ge=1,
        description="A connection on which nothing comes is asked for a sign of life so often, in seconds.",
    )
    keepalive_timeout: float = Field(
        default=10.0, gt=0, description="Seconds without that sign of life after which a connection is broken off."
    )
    connect_timeout: float = Field(default=5.0, gt=0, description="Seconds that the first connection may take.")

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then .env."""
        dotenv = _KnownDotEnv(settings_cls)
        warn_of_unknown({**dotenv.env_vars, **os.environ})
        return (init_settings, env_settings, dotenv)

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_is_wrong(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            lines = [_describe(each["loc"], each["msg"], each["type"]) for each in error.errors(include_url=False)]
            raise InvalidConfig("; ".join(lines)) from None

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            msg = "WINDLASS_TLS_CERT and WINDLASS_TLS_KEY belong together: give both or neither"
            raise InvalidConfig(msg)
        if self.token is not None and self.token_file is not None:
            msg = "WINDLASS_TOKEN and WINDLASS_TOKEN_FILE are two places for one token: give one of them"
            raise InvalidConfig(msg)
        for name in ("token_file", "tls_ca", "tls_cert", "tls_key"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise InvalidConfig(f"{PREFIX}{name.upper()}={path}: there is no such file")
        return self


def warn_of_unknown(variables: Mapping[str, Any]) -> None:
    """Warn of each WINDLASS_* variable that nothing reads, with the nearest right name."""
    right = {PREFIX + name.upper() for name in ClientConfig.model_fields} | OTHERS_SETTINGS
    for name in variables:
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in right or upper in _warned:
            continue
        _warned.add(upper)
        near = difflib.get_close_matches(upper, sorted(right), n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        warnings.warn(f"nothing reads the setting {upper}{hint}", UnknownSettingWarning, stacklevel=2)


_warned: set[str] = set()


def _describe(location: tuple[int | str, ...], message: str, kind: str) -> str:
    name = str(location[0]) if location else ""
    said = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, list(ClientConfig.model_fields), n=1)
        return f"ClientConfig has no field {name!r}" + (f": did you mean {near[0]}?" if near else "")
    return f"{PREFIX}{name.upper()} ({name}): {said}" if name else said
