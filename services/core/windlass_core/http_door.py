"""Owns the HTTP door that all three services have: health, and metrics, for whatever looks after the process."""

import contextlib
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typing_extensions import override

from windlass_core.domain.address import is_local
from windlass_core.metrics import CONTENT_TYPE
from windlass_core.rpc.server import BindRefused

# Calls that are under way when the service leaves get so long.
_GRACE_S = 1


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process takes work: it does where there is no reason against. `facts` are for people."""

    reasons: Sequence[str] = ()
    facts: dict[str, str] = field(default_factory=dict)


class MetricsGuard:
    """Who may read the metrics: anybody on the loopback interface, else whoever has the token."""

    def __init__(self, listen: str, token: SecretStr | None) -> None:
        self._token = token.get_secret_value() if token is not None else ""
        self._is_local = is_local(listen)

    def refusal(self, request: Request) -> Response | None:
        """Why not, None where they may."""
        if self._token:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if hmac.compare_digest(given.encode(), self._token.encode()):
                return None
            return PlainTextResponse("a bearer token is needed: that of WINDLASS_METRICS_TOKEN\n", 401)
        if self._is_local:
            return None
        return PlainTextResponse("metrics are served to this machine alone unless WINDLASS_METRICS_TOKEN is set\n", 403)


def build_app(
    readiness: Callable[[], Awaitable[Readiness]], metrics_text: Callable[[], Awaitable[bytes]], guard: MetricsGuard
) -> Starlette:
    """The application."""

    async def health_live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def health_ready(_request: Request) -> Response:
        found = await readiness()
        if not found.reasons:
            return JSONResponse({"status": "ready", **found.facts})
        return JSONResponse({"status": "not ready", "reasons": list(found.reasons), **found.facts}, status_code=503)

    async def metrics(request: Request) -> Response:
        refusal = guard.refusal(request)
        return refusal or Response(await metrics_text(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/health/live", health_live),
            Route("/health/ready", health_ready),
            Route("/metrics", metrics),
        ]
    )


class _Quiet(uvicorn.Server):
    """Leaves signals to the service."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpDoor:
    """The HTTP server, on the service's loop."""

    def __init__(self, app: Starlette) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S
        )
        self._server = _Quiet(config)
        self._socket: socket.socket | None = None

    def bind(self, listen: str) -> int:
        """Takes the address. Returns the port. Raises BindRefused."""
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host.strip("[]"), int(port)), family=family)
        except (OSError, ValueError) as error:
            raise BindRefused(f"can't listen on {listen} for HTTP: {error}") from error
        bound: int = self._socket.getsockname()[1]
        return bound

    async def run(self) -> None:
        """Serves until stopped."""
        await self._server.serve(sockets=[self._socket] if self._socket else None)

    def stop(self) -> None:
        """Lets `run` return."""
        self._server.should_exit = True
