"""The Python worker for the conformance suite: `python -m tests.conformance.python_worker`."""

from __future__ import annotations

import asyncio
import os
import time

from pydantic import BaseModel, ConfigDict

from windlass import Context, NonRetryableException, Windlass

app = Windlass()


class Anything(BaseModel):
    """Any JSON object."""

    model_config = ConfigDict(extra="allow")


class Wait(BaseModel):
    """How long, in milliseconds."""

    ms: int


class Fault(BaseModel):
    """How to fail."""

    message: str
    retryable: bool


class Size(BaseModel):
    """How much."""

    bytes: int


class Lines(BaseModel):
    """How many lines."""

    lines: int


@app.task(name="conformance.echo")
async def echo(input: Anything, ctx: Context) -> Anything:
    """Return the input."""
    return input


@app.task(name="conformance.fail")
async def fail(input: Fault, ctx: Context) -> None:
    """Fail as told."""
    if input.retryable:
        raise RuntimeError(input.message)
    raise NonRetryableException(input.message)


@app.task(name="conformance.hold")
async def hold(input: Wait, ctx: Context) -> dict[str, int]:
    """Wait, and end early when cancelled."""
    await asyncio.sleep(input.ms / 1000)
    return {"held": input.ms}


@app.task(name="conformance.stubborn")
def stubborn(input: Wait, ctx: Context) -> dict[str, int]:
    """Wait in a call that nothing interrupts."""
    time.sleep(input.ms / 1000)
    return {"held": input.ms}


@app.task(name="conformance.big")
async def big(input: Size, ctx: Context) -> dict[str, str]:
    """Return so many bytes."""
    return {"data": "x" * input.bytes}


@app.task(name="conformance.log")
async def log(input: Lines, ctx: Context) -> dict[str, str]:
    """Log so many lines."""
    for number in range(1, input.lines + 1):
        ctx.log(f"line {number}")
    return {}


def serve() -> None:
    """Serve until a signal."""
    app.worker("conformance", slots=int(os.environ.get("CONFORMANCE_SLOTS", "4"))).start()


if __name__ == "__main__":
    serve()
