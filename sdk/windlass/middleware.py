"""Owns middleware: what an app has run round every attempt. What is inside is the runner's."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from windlass.context import Context
from windlass.exceptions import InvalidTask
from windlass.parameters import where

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Executes what is inside, once: gives the output, or raises.
CallNext: TypeAlias = Callable[[], Awaitable[Any]]
Middleware: TypeAlias = Callable[[Context, CallNext], Awaitable[Any]]


def check_middleware(function: Callable[..., Any]) -> None:
    """Refuse what is no `async def mw(ctx, call_next)`. Raises InvalidTask."""
    if not inspect.iscoroutinefunction(function) or len(inspect.signature(function).parameters) != 2:  # noqa: PLR2004 - the number says it
        name = getattr(function, "__name__", "middleware")
        raise InvalidTask(
            f"{where(function)}: middleware is async and takes two parameters: write "
            f"`async def {name}(ctx: Context, call_next: CallNext)`, which returns `await call_next()`"
        )


def wrap(middleware: Sequence[Middleware], ctx: Context, innermost: CallNext) -> CallNext:
    """Put middleware round `innermost`, the first outermost."""
    call = innermost
    for each in reversed(middleware):
        call = _link(each, ctx, call)
    return call


def _link(middleware: Middleware, ctx: Context, inside: CallNext) -> CallNext:
    called = False

    async def call_next() -> Any:
        nonlocal called
        if called:
            raise RuntimeError("call_next was called before: trying again is another attempt's")
        called = True
        return await inside()

    async def run() -> Any:
        return await middleware(ctx, call_next)

    return run
