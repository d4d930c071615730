"""The Python worker for the conformance suite: `python -m tests.conformance.python_worker`."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from windlass import Context, NonRetryableException, SoftTimeoutExceeded, Windlass

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


class Steps(BaseModel):
    """How many steps, and how many milliseconds apart."""

    steps: int
    every_ms: int


class Chunks(BaseModel):
    """How many chunks, and how many milliseconds apart."""

    chunks: int
    every_ms: int


class Limits(BaseModel):
    """How long, how much time to ask for first (0: none), how long to go on once told; in milliseconds."""

    ms: int
    refresh_ms: int
    then_ms: int


class Label(BaseModel):
    """A label of the worker."""

    name: str
    value: str


class Crash(BaseModel):
    """When the process ends, in milliseconds, and its exit status."""

    ms: int
    status: int


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


@app.task(name="conformance.progress")
async def progress(input: Steps, ctx: Context) -> dict[str, str]:
    """Tell of each step."""
    for step in range(1, input.steps + 1):
        if step > 1:
            await asyncio.sleep(input.every_ms / 1000)
        ctx.progress(step, input.steps, f"step {step}")
    return {}


@app.task(name="conformance.limits")
async def limits(input: Limits, ctx: Context) -> dict[str, bool]:
    """Wait, and say whether it was told that its time is short."""
    if input.refresh_ms:
        ctx.refresh_timeout(timedelta(milliseconds=input.refresh_ms))
    try:
        await asyncio.sleep(input.ms / 1000)
    except SoftTimeoutExceeded:
        await asyncio.sleep(input.then_ms / 1000)
        return {"told": True}
    return {"told": False}


@app.task(name="conformance.stream")
async def stream(input: Chunks, ctx: Context) -> dict[str, str]:
    """Stream so many chunks, text and bytes by turns."""
    for number in range(1, input.chunks + 1):
        if number > 1 and input.every_ms:
            await asyncio.sleep(input.every_ms / 1000)
        text = f"chunk {number}"
        await ctx.aio_put_stream(text if number % 2 else text.encode())
    return {}


@app.task(name="conformance.release")
async def release(input: Wait, ctx: Context) -> dict[str, int]:
    """Give up the slot, and wait."""
    ctx.release_slot()
    await asyncio.sleep(input.ms / 1000)
    return {"held": input.ms}


@app.task(name="conformance.label")
async def label(input: Label, ctx: Context) -> dict[str, str]:
    """Set a label of the worker."""
    ctx.upsert_worker_labels({input.name: input.value})
    return {}


@app.task(name="conformance.crash")
async def crash(input: Crash, ctx: Context) -> None:
    """End the process."""
    await asyncio.sleep(input.ms / 1000)
    os._exit(input.status)


order = app.workflow(name="conformance.order", input_validator=Anything)
refund = app.workflow(name="conformance.refund", input_validator=Anything)


@order.task
async def work(ctx: Context) -> dict[str, str]:
    """Say whose task it is: two workflows have one of this name."""
    return {"workflow": "conformance.order", "task": "work"}


@order.on_failure_task
async def failed(ctx: Context) -> dict[str, Any]:
    """Say which run it follows, and how its tasks failed."""
    failures = {name: error.error for name, error in ctx.task_run_errors.items()}
    return {"workflow": "conformance.order", "task": "failed", "run": ctx.workflow_run_id, "failures": failures}


@order.on_success_task
async def succeeded(ctx: Context) -> dict[str, Any]:
    """Say which run it follows, and what its task returned."""
    output = ctx.task_output("work")
    return {"workflow": "conformance.order", "task": "succeeded", "run": ctx.workflow_run_id, "output": output}


@refund.task(name="work")
async def work_of_refund(ctx: Context) -> dict[str, str]:
    """See `work`."""
    return {"workflow": "conformance.refund", "task": "work"}


def serve() -> None:
    """Serve until a signal."""
    app.worker(
        "conformance",
        slots=int(os.environ.get("CONFORMANCE_SLOTS", "4")),
        pools={name: int(slots) for name, slots in _pairs("CONFORMANCE_POOLS")},
        labels=dict(_pairs("CONFORMANCE_LABELS")),
    ).start()


def _pairs(variable: str) -> list[tuple[str, str]]:
    """Read name=value,name=value."""
    pairs = [each.partition("=") for each in os.environ.get(variable, "").split(",") if each]
    return [(name, value) for name, _, value in pairs]


if __name__ == "__main__":
    serve()
