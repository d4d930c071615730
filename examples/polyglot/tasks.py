"""The Python side of the tasks that call each other across languages."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from windlass import Context, SoftTimeoutExceeded, Windlass

app = Windlass()

_LOOK_EVERY: Final = 0.02


class Name(BaseModel):
    """Whom to greet."""

    name: str


class Gates(BaseModel):
    """Files by which a task says that it has begun, and is told to end."""

    begun: str
    release: str


class Order(BaseModel):
    """What is asked for."""

    item: str


class OutOfStock(Exception):
    """An error with a type that callers in other languages see."""


@app.task(name="python.greet")
async def greet(input: Name, ctx: Context) -> dict[str, Any]:
    """Greet."""
    ctx.log(f"greeting {input.name}")
    return {"language": "python", "greeting": f"Hello, {input.name}!", "length": len(input.name)}


order = app.workflow(name="python.order", input_validator=Order)


@order.task
async def work(input: Order, ctx: Context) -> str:
    """Do what the hooks follow."""
    ctx.log(f"looking for {input.item}")
    if input.item == "bread":
        raise OutOfStock(f"no {input.item} left")
    return input.item


@order.on_failure_task
async def mourn(ctx: Context) -> dict[str, Any]:
    """Follow a run that has failed, as a run of its own."""
    error = ctx.task_run_errors["work"].error
    return {"language": "python", "follows": ctx.workflow_run_id, "error": error}


@order.on_success_task
async def cheer(ctx: Context) -> dict[str, Any]:
    """Follow a run that has completed."""
    return {"language": "python", "follows": ctx.workflow_run_id, "output": ctx.task_output(work)}


@app.task(name="python.tidy", soft_timeout=0.5, execution_timeout=1)
async def tidy(ctx: Context) -> dict[str, Any]:
    """Ask for more time, say how far it is, and tidy up once told that time is short."""
    ctx.refresh_timeout(1.2)
    ctx.progress(1, 2, "waiting")
    try:
        await asyncio.sleep(60)
    except SoftTimeoutExceeded:
        ctx.progress(2, 2, "tidied up")
        await ctx.aio_put_stream("tidied up")
    return {"language": "python"}


def _hold(gates: Gates, ctx: Context) -> dict[str, Any]:
    Path(f"{gates.begun}.python").touch()
    while not Path(gates.release).exists():
        time.sleep(_LOOK_EVERY)
    return {"language": "python", "attempt": ctx.attempt_number}


@app.task(name="python.hold")
def hold(input: Gates, ctx: Context) -> dict[str, Any]:
    """Say that it has begun, by making a file, and go on until another one is there."""
    return _hold(input, ctx)


@app.task(name="any.hold")
def any_hold(input: Gates, ctx: Context) -> dict[str, Any]:
    """Do as hold; served by the workers of all languages: whichever has a slot gets it."""
    return _hold(input, ctx)


@app.task(name="python.fail", retries=1)
async def fail(input: Order, ctx: Context) -> None:
    """Fail at each attempt."""
    ctx.log(f"looking for {input.item}")
    raise OutOfStock(f"no {input.item} left")
