"""Owns gathering: what comes while one batch is under way travels in the next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Item = TypeVar("Item")


class Gather(Generic[Item]):
    """Calls `flush` with all items put since the last call, one call at a time."""

    def __init__(self, flush: Callable[[list[Item]], Awaitable[None]], limit: int) -> None:
        self._flush, self._limit = flush, limit
        self._items: list[Item] = []
        self._there = asyncio.Event()

    def put(self, items: list[Item]) -> None:
        """Have them in the next batch."""
        self._items += items
        if items:
            self._there.set()

    async def serve(self) -> None:
        """Flush batch after batch, for ever."""
        while True:
            await self._there.wait()
            batch, self._items = self._items[: self._limit], self._items[self._limit :]
            if not self._items:
                self._there.clear()
            await self._flush(batch)
