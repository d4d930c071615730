"""Owns group commit: what gathers while a flush is under way goes with the next one.

Nothing waits for a timer to fill a batch. A flush that finds the store away is repeated with a
back-off: what was put in stays in, in order.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from windlass_core.domain.errors import StoreUnavailable

_log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_DELAY_S = 0.05
LAST_DELAY_S = 2.0


class Backoff:
    """Growing delays between tries at something that is away."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY_S

    async def wait(self) -> None:
        """Waits; longer each time."""
        await asyncio.sleep(self._delay)
        self._delay = min(self._delay * 2, LAST_DELAY_S)

    def reset(self) -> None:
        """It is back: start small the next time."""
        self._delay = FIRST_DELAY_S


class Hold:
    """The bytes that several pumps hold, and the room for more."""

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self._most_bytes = most_bytes
        self._freed = asyncio.Event()

    def take(self, size: int) -> None:
        """So many more; never blocks."""
        self.bytes += size

    def give_back(self, size: int) -> None:
        """So many have been flushed."""
        self.bytes -= size
        self._freed.set()

    async def room(self) -> None:
        """Returns once there is room: whoever reads from a peer waits here before the next message."""
        while self.bytes >= self._most_bytes:
            self._freed.clear()
            await self._freed.wait()


class Pump(Generic[T]):
    """Hands what is put in to `flush`, in batches of about `most` and at most `most_bytes`.

    `count` and `size` tell what an item adds to the two; a batch has at least one item. What `size`
    tells counts in `hold` until it has been flushed.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[list[T]], Awaitable[None]],
        *,
        most: int = 500,
        most_bytes: int = 2 * 1024 * 1024,
        count: Callable[[T], int] = lambda _item: 1,
        size: Callable[[T], int] = lambda _item: 0,
        hold: Hold | None = None,
    ) -> None:
        self._name = name
        self._flush = flush
        self._most = most
        self._most_bytes = most_bytes
        self._count = count
        self._size = size
        self._hold = hold
        self._items: deque[T] = deque()
        self._some = asyncio.Event()
        self._in_hand = 0
        self._flushed = 0
        self._flushed_some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Adds an item; never blocks."""
        self._items.append(item)
        if self._hold is not None:
            self._hold.take(self._size(item))
        self._some.set()

    def put_all(self, items: list[T]) -> None:
        """Adds items in order."""
        if items:
            self._items.extend(items)
            if self._hold is not None:
                self._hold.take(sum(map(self._size, items)))
            self._some.set()

    async def drained(self) -> None:
        """Returns once everything put in so far has been flushed, whatever is put in meanwhile."""
        goal = self._flushed + self._in_hand + len(self._items)
        while self._flushed < goal:
            await self._flushed_some.wait()

    async def run(self) -> None:
        """Flushes until cancelled."""
        backoff = Backoff()
        while True:
            await self._some.wait()
            batch = self._take()
            self._in_hand = len(batch)
            while True:
                try:
                    await self._flush(batch)
                    backoff.reset()
                    break
                except StoreUnavailable as error:
                    _log.warning("flush failed, trying again", pump=self._name, error=str(error))
                    await backoff.wait()
            self._in_hand = 0
            if self._hold is not None:
                self._hold.give_back(sum(map(self._size, batch)))
            self._flushed += len(batch)
            self._flushed_some.set()
            self._flushed_some.clear()
            if not self._items:
                self._some.clear()

    def _take(self) -> list[T]:
        batch: list[T] = []
        places, room = self._most, self._most_bytes
        while self._items and places > 0:
            places -= self._count(self._items[0])
            room -= self._size(self._items[0])
            if room < 0 and batch:
                break
            batch.append(self._items.popleft())
        return batch
