"""Group commit: what gathers while a flush is under way goes with the next one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from windlass_core import pump as pump_module
from windlass_core.domain.errors import StoreUnavailable
from windlass_core.pump import Hold, Pump

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def _running(pump: Pump[int]) -> AsyncIterator[None]:
    task = asyncio.create_task(pump.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Flushes:
    """Records batches; `gate` lets them end."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.failures = 0

    async def __call__(self, batch: list[int]) -> None:
        self.batches.append(list(batch))
        self.begun.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")


async def test_what_comes_during_a_flush_goes_with_the_next_one() -> None:
    """In order, and in one batch."""
    flushes = Flushes()
    pump = Pump("test", flushes)
    async with _running(pump):
        pump.put(1)
        await flushes.begun.wait()
        pump.put(2)
        pump.put_all([3, 4])
        assert len(pump) == 3
        flushes.gate.set()
        await pump.drained()
    assert flushes.batches == [[1], [2, 3, 4]]


async def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    """One that is larger than the bound goes alone."""
    flushes = Flushes()
    flushes.gate.set()
    by_number = Pump("test", flushes, most=3)
    by_number.put_all(list(range(7)))
    async with _running(by_number):
        await by_number.drained()
    assert flushes.batches == [[0, 1, 2], [3, 4, 5], [6]]
    flushes.batches.clear()
    by_bytes = Pump("test", flushes, most_bytes=10, size=lambda item: item)
    by_bytes.put_all([4, 6, 1, 50, 9, 2])
    async with _running(by_bytes):
        await by_bytes.drained()
    assert flushes.batches == [[4, 6], [1], [50], [9], [2]]


async def test_an_item_may_count_for_several() -> None:
    """A batch ends with the one that fills it."""
    flushes = Flushes()
    flushes.gate.set()
    pump = Pump("test", flushes, most=5, count=lambda item: item)
    pump.put_all([2, 2, 2, 9, 1])
    async with _running(pump):
        await pump.drained()
    assert flushes.batches == [[2, 2, 2], [9], [1]]


async def test_a_flush_that_finds_the_store_away_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is back; what came meanwhile waits its turn."""
    monkeypatch.setattr(pump_module, "FIRST_DELAY_S", 0.0)
    flushes = Flushes()
    flushes.failures = 3
    pump = Pump("test", flushes)
    async with _running(pump):
        pump.put_all([1, 2])
        await flushes.begun.wait()
        pump.put(3)
        flushes.gate.set()
        await pump.drained()
    assert flushes.batches == [[1, 2]] * 4 + [[3]]


async def test_any_other_error_ends_the_pump() -> None:
    """It is a fault, and not to be hidden in a loop."""

    async def flush(_batch: list[int]) -> None:
        raise ZeroDivisionError

    pump = Pump("test", flush)
    pump.put(1)
    with pytest.raises(ZeroDivisionError):
        await pump.run()


async def test_drained_means_flushed() -> None:
    """Not only taken out; an empty pump is drained."""
    flushes = Flushes()
    pump = Pump("test", flushes)
    await pump.drained()
    pump.put_all([])
    await pump.drained()
    async with _running(pump):
        pump.put(1)
        await flushes.begun.wait()
        waiting = asyncio.create_task(pump.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        flushes.gate.set()
        await waiting


async def test_draining_does_not_wait_for_what_comes_later() -> None:
    """Or a process under load would never stop."""
    pump: Pump[int]

    async def flush(_batch: list[int]) -> None:
        pump.put(0)
        await asyncio.sleep(0)

    pump = Pump("test", flush, most=2)
    pump.put_all([1, 2, 3])
    async with _running(pump), asyncio.timeout(10):
        await pump.drained()
        assert len(pump)


async def test_what_several_pumps_hold_has_one_bound() -> None:
    """What is being flushed counts, also while it is tried again; room is made by any of them."""
    hold = Hold(100)
    stuck, quick = Flushes(), Flushes()
    quick.gate.set()
    slow = Pump[int]("slow", stuck, size=lambda item: item, hold=hold)
    fast = Pump[int]("fast", quick, size=lambda item: item, hold=hold)
    await hold.room()
    slow.put(40)
    slow.put_all([30, 20])
    fast.put(10)
    assert hold.bytes == 100
    waiting = asyncio.create_task(hold.room())
    async with _running(slow):
        await stuck.begun.wait()
        assert hold.bytes == 100
        assert not waiting.done()
        async with _running(fast), asyncio.timeout(10):
            await waiting
        assert hold.bytes == 90
        stuck.gate.set()
        await slow.drained()
    assert hold.bytes == 0
