"""Owns the HTTP door: health, for whatever looks after the process."""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import override

from windlass_core.rpc.server import BindRefused


def build_app(ready: Callable[[], Awaitable[str | None]]) -> Starlette:
    """The application. `ready` tells why the process is not ready, None where it is."""

    async def health_live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def health_ready(_request: Request) -> Response:
        reason = await ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

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
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
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
        """Serves until cancelled or stopped."""
        await self._server.serve(sockets=[self._socket] if self._socket else None)

    def stop(self) -> None:
        """Lets `run` return."""
        self._server.should_exit = True
