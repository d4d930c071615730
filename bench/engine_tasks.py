"""Our application: the one task of the benchmark in the form that the guide shows first, and with gates."""

# No `from __future__ import annotations`: the SDK reads these when the task is declared.

from typing import Any

from pydantic import BaseModel

from windlass import (
    ClientConfig,
    ConcurrencyExpression,
    Context,
    RateLimit,
    RateLimitDuration,
    Runnable,
    Windlass,
)
from windlass.instrumentation import follow_environment

# Of `gated`: so many runs of it may be under way, one of each key.
KEYS = 1_000


class Photo(BaseModel):
    """What bench.payload.make_input makes."""

    id: int
    path: str
    width: int
    height: int
    format: str


class Application:
    """A client of an engine at that address, with all tasks."""

    def __init__(self, api_address: str) -> None:
        self.app = app = Windlass(config=ClientConfig(api_address=api_address))
        follow_environment(app)

        @app.task(name="noop")
        async def noop(input: Photo, ctx: Context) -> dict[str, Any]:
            del ctx
            return {"id": input.id, "ok": True}

        @app.task(name="parked", queue="parked")
        async def parked(input: Photo, ctx: Context) -> dict[str, Any]:
            del ctx
            return {"id": input.id, "ok": True}

        key = ConcurrencyExpression(f"input.id % {KEYS}", max_runs=1)
        never_reached = RateLimit(dynamic_key="'bench'", limit=1_000_000_000, duration=RateLimitDuration.HOUR)

        @app.task(name="gated", concurrency=key, rate_limits=[never_reached])
        async def gated(input: Photo, ctx: Context) -> dict[str, Any]:
            del ctx
            return {"id": input.id, "ok": True}

        self.gated = gated
        self.noop = noop
        self.parked = parked

    def served(self) -> list[Runnable[Any]]:
        """What workers serve: `parked` stays queued for ever."""
        return [self.noop, self.gated]
