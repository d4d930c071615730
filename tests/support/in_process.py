"""Owns a service that runs on the test's own loop, where its insides can be looked at."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.support.until import aio_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from windlass_core.service import Service

    S = TypeVar("S", bound=Service)

#: Settings of one that listens where there is room.
ANYWHERE: Final[dict[str, Any]] = {"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"}


@asynccontextmanager
async def in_process(service: S) -> AsyncIterator[S]:
    """The service from its start to its stop."""
    running = asyncio.create_task(service.run())
    try:
        await aio_until(lambda: service.server.port != 0 or running.done(), "it listens")
        yield service
    finally:
        service.stop()
        await running
