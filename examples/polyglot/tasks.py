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


@app.task(name="python.tidy", soft_timeout=0.5, execution_timeout=1)
async def tidy(ctx: Context) -> dict[str, Any]:
    """Ask for more time, say how far it is, and tidy up once told that time is short."""
    ctx.refresh_timeout(1.2)
    ctx.progress(1, 2, "waiting")
    try:
        await asyncio.sleep(60)
    except SoftTimeoutExceeded:
        ctx.progress(2, 2, "tidied up")
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
