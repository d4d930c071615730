"""Owns a worker's lifespan: what is opened before its first task, and closed after its last.

When that is, the worker decides.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from windlass.exceptions import InvalidConfig, LifespanFailed
from windlass.held import Held
from windlass.parameters import where

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_log = logging.getLogger("windlass.worker")


def check_lifespan(function: Callable[[], AsyncIterator[Any]]) -> None:
    """Refuse what is no async generator function without parameters. Raises InvalidConfig."""
    if not inspect.isasyncgenfunction(function) or inspect.signature(function).parameters:
        raise InvalidConfig(
            f"lifespan={getattr(function, '__qualname__', function)!r}: an async generator function without "
            "parameters was expected, `async def lifespan(): ...; yield value; ...`, and no @asynccontextmanager"
        )


class Lifespan:
    """One run of a lifespan function: an async generator that yields once."""

    def __init__(self, function: Callable[[], AsyncIterator[Any]]) -> None:
        """Prepare `function`, which has been checked; runs nothing yet."""
        self._where = where(function)
        self._held: Held[Any] = Held(asynccontextmanager(function)())
        self._leaving = False

    async def open(self, on_lost: Callable[[], None]) -> Any:
        """Run it to its `yield`; `on_lost` is called should it end before it is closed.

        Returns:
            What it yields; None where it was given up on meanwhile.

        Raises:
            LifespanFailed: it raised, or never yielded.

        """
        try:
            value = await self._held.open()
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            return None
        except BaseException as error:
            raise LifespanFailed(
                f"the worker does not start: its lifespan at {self._where} raised {type(error).__name__}: {error}"
            ) from error
        self._held.when_ended(lambda: self._ended(on_lost))
        return value

    def give_up(self) -> None:
        """Break off `open`: the worker was told to stop."""
        self._leaving = True
        self._held.give_up()

    async def close(self) -> None:
        """Run what comes after the `yield`; what that raises is logged. Repeatable."""
        self._leaving = True
        try:
            await self._held.close()
        except Exception:  # noqa: BLE001 - a user's code may raise anything, and the worker has ended
            _log.exception("the lifespan at %s failed while it closed", self._where)

    def _ended(self, on_lost: Callable[[], None]) -> None:
        if not self._leaving:
            _log.error("the lifespan at %s ended by itself: the worker drains", self._where)
            on_lost()
