"""Owns a gRPC server on loopback that can go away and come back, and waiting for what it is told.

Knows no service: whoever has one registers it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a wait takes at the most.
PATIENCE = 10.0


class NotSeen(AssertionError):
    """What was waited for has not come; the message names it."""


class Changes:
    """Waiting for what a message, or the end of a process, changes. On one loop."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        #: Told with whatever has not come: what may be the reason.
        self.hint = ""
        self._event = asyncio.Event()
        self._hopeless = ""

    def note(self) -> None:
        """Have every waiter look again."""
        self._event.set()

    def give_up(self, reason: str) -> None:
        """Let every wait that is not fulfilled by now fail at once, for this reason."""
        self._hopeless = reason
        self.note()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Return once the condition holds. Raises NotSeen, naming `what`."""
        try:
            async with asyncio.timeout(self.patience):
                while not condition():
                    if self._hopeless:
                        raise NotSeen(f"{self._hopeless} before {what}")
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError:
            raise NotSeen(f"not within {self.patience:g} s: {what}{self.hint}") from None


class LoopbackServer:
    """Listens on a port of its own, the same one each time that it is started."""

    def __init__(self, *register: Callable[[grpc.aio.Server], None]) -> None:
        """Serve what these add to the server, from `start` on."""
        self.port = 0
        self._register = register
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        for register in self._register:
            register(self._server)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening and break every call. Harmless when repeated."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
