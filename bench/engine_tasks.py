"""Our application: the one task of the benchmark in the form that the guide shows first."""

# No `from __future__ import annotations`: the SDK reads these when the task is declared.

from typing import Any

from pydantic import BaseModel

from windlass import ClientConfig, Context, Task, Windlass
from windlass.instrumentation import follow_environment


class Photo(BaseModel):
    """What bench.payload.make_input makes."""

    id: int
    path: str
    width: int
    height: int
    format: str


class Application:
    """A client of an engine at that address, with both tasks."""

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

        self.noop = noop
        self.parked = parked

    def served(self) -> list[Task]:
        """What workers serve: `parked` stays queued for ever."""
        return [self.noop]
