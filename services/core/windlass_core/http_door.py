"""Owns the HTTP door that all three services have: health, for whatever looks after the process."""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import override

from windlass_core.rpc.server import BindRefused

# Calls that are under way when the service leaves get so long.
_GRACE_S = 1


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process takes work: it does where there is no reason against. `facts` are for people."""

    reasons: Sequence[str] = ()
    facts: dict[str, str] = field(default_factory=dict)


def build_app(readiness: Callable[[], Awaitable[Readiness]]) -> Starlette:
    """The application."""

    async def health_live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def health_ready(_request: Request) -> Response:
        found = await readiness()
        if not found.reasons:
            return JSONResponse({"status": "ready", **found.facts})
        return JSONResponse({"status": "not ready", "reasons": list(found.reasons), **found.facts}, status_code=503)

    return Starlette(routes=[Route("/health/live", health_live), Route("/health/ready", health_ready)])


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
