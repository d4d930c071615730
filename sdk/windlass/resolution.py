"""Opens the dependencies of one attempt, calls its function with them, and closes them in reverse.

Sync ones run where the function runs: on the loop or on the task's thread. What is opened and in
which order is `dependency`'s to say.

What decides how the attempt ends is the first error. A dependency sees it at its `yield`, and can
neither swallow nor replace it; an error of its own, where there was none before, becomes the attempt's.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never, cast

from windlass.dependency import Kind
from windlass.held import Held
from windlass.parameters import where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from concurrent.futures import Future
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from windlass.context import Context
    from windlass.dependency import Plan, Step

T = TypeVar("T")

_log = logging.getLogger("windlass.worker")


class Hop(Protocol):
    """Runs a coroutine on a loop, for a thread that waits."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Give what it returns, or raise what it raises."""


async def call_on_loop(plan: Plan, ctx: Context, value: Any, call: Callable[[Mapping[str, Any]], Awaitable[T]]) -> T:
    """Call an async function with what `plan` opens.

    Args:
        plan: what to open.
        ctx: the attempt's.
        value: its input, for dependencies that take it.
        call: takes the function's dependencies by the name of their parameter.

    """
    values: list[Any] = [value, ctx]
    opened: list[tuple[Step, AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]] = []
    error: BaseException | None = None
    traceback: TracebackType | None = None
    result: Any = None
    try:
        for step in plan.steps:
            values.append(await _open_on_loop(step, values, opened))
        result = await call({name: values[place] for name, place in plan.results})
    except BaseException as raised:  # noqa: BLE001 - it is raised again once all is closed
        error, traceback = raised, raised.__traceback__
    for step, manager in reversed(opened):
        try:
            if isinstance(manager, AbstractContextManager):
                manager.__exit__(*_told(error))
            else:
                await manager.__aexit__(*_told(error))
        except BaseException as raised:  # noqa: BLE001 - see above
            if error is None:
                error, traceback = raised, raised.__traceback__
            elif raised is not error:
                _log_second(raised, step, ctx)
    if error is not None:
        try:
            raise error.with_traceback(traceback)  # without the ways through those that closed
        finally:
            del error  # it holds this frame, which would hold it
    return cast("T", result)


async def _open_on_loop(
    step: Step,
    values: list[Any],
    opened: list[tuple[Step, AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]],
) -> Any:
    function, arguments = step.function, {name: values[place] for name, place in step.arguments}
    match step.kind:
        case Kind.VALUE:
            return function(**arguments)
        case Kind.COROUTINE:
            return await function(**arguments)
        case Kind.GENERATOR:
            manager = contextmanager(function)(**arguments)
            value = manager.__enter__()
            opened.append((step, manager))
            return value
        case Kind.ASYNC_GENERATOR:
            async_manager = asynccontextmanager(function)(**arguments)
            value = await async_manager.__aenter__()
            opened.append((step, async_manager))
            return value
        case _ as unreachable:
            assert_never(unreachable)


def call_on_thread(plan: Plan, ctx: Context, value: Any, call: Callable[[Mapping[str, Any]], T], hop: Hop) -> T:
    """Do as `call_on_loop` for a sync function, on its thread; async dependencies run through `hop`."""
    opened = _OnThread(ctx, hop)
    try:
        try:
            values: list[Any] = [value, ctx]
            for step in plan.steps:
                values.append(opened.open(step, {name: values[place] for name, place in step.arguments}))
            result = call({name: values[place] for name, place in plan.results})
        except BaseException as error:
            opened.close(error)
            raise
        opened.close(None)
    finally:
        # Does nothing, unless the thread was interrupted between two lines of the above.
        opened.close(opened.error)
    if opened.error is not None:
        raise opened.error
    return result


class _OnThread:
    """What is open for one attempt on a thread."""

    def __init__(self, ctx: Context, hop: Hop) -> None:
        self._ctx = ctx
        self._hop = hop
        self._opened: list[tuple[Step, AbstractContextManager[Any] | Held[Any]]] = []
        self.error: BaseException | None = None  # the first of those that closing raised

    def open(self, step: Step, arguments: dict[str, Any]) -> Any:
        function = step.function
        match step.kind:
            case Kind.VALUE:
                return function(**arguments)
            case Kind.COROUTINE:
                return self._hop(function(**arguments))
            case Kind.GENERATOR:
                manager = contextmanager(function)(**arguments)
                self._opened.append((step, manager))  # closing what was not entered is harmless
                return manager.__enter__()
            case Kind.ASYNC_GENERATOR:
                # Each hop is an asyncio task of its own; a cancel scope may span the yield all the same.
                held: Held[Any] = Held(asynccontextmanager(function)(**arguments))
                self._opened.append((step, held))
                return self._hop(held.open())
            case _ as unreachable:
                assert_never(unreachable)

    def close(self, error: BaseException | None) -> None:
        """Close all that is open, and tell it of `error`."""
        traceback = None if error is None else error.__traceback__
        while self._opened:
            step, manager = self._opened.pop()
            try:
                if isinstance(manager, Held):
                    self._hop(manager.close(error))
                else:
                    manager.__exit__(*_told(error))
            except BaseException as raised:  # noqa: BLE001 - it is raised again once all is closed
                if error is None:
                    self.error = error = raised
                    traceback = raised.__traceback__
                elif raised is not error:
                    _log_second(raised, step, self._ctx)
        if error is not None:
            error.__traceback__ = traceback  # without the ways through those that closed


def hop_to(loop: asyncio.AbstractEventLoop, on_way: Callable[[Callable[[], object] | None], None]) -> Hop:
    """Give the way from a thread to `loop`.

    Args:
        loop: runs in another thread.
        on_way: told what breaks off the waiting, and None when there is nothing to wait for any more.

    """

    def hop(coroutine: Coroutine[Any, Any, T]) -> T:
        captured = _captured(coroutine)
        future: Future[tuple[T | None, BaseException | None]] | None = None
        try:
            future = asyncio.run_coroutine_threadsafe(captured, loop)
            on_way(future.cancel)
            result, error = future.result()
        finally:
            on_way(None)
            if future is not None:
                future.cancel()
            else:  # the loop is closed
                captured.close()
                coroutine.close()
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # there is no error

    return hop


async def _captured(coroutine: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """Keep a SystemExit from the loop, which it would end."""
    try:
        return await coroutine, None
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        return None, error


def _told(error: BaseException | None) -> tuple[Any, Any, Any]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


def _log_second(raised: BaseException, step: Step, ctx: Context) -> None:
    """Tell of an error that does not count: the attempt had failed before."""
    text = f"the dependency at {where(step.function)} failed as it closed after a failure: {type(raised).__name__}"
    _log.warning("task %s (run %s): %s", ctx.task_name, ctx.task_run_id, text, exc_info=raised)
    ctx.log(f"{text}: {raised}", "WARNING")
