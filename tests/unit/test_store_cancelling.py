"""A store call that is cancelled ends as cancelled, whatever its client makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard

_STEPS = 12


async def test_no_cancelling_is_lost(shard: Shard) -> None:
    """At whichever step it comes: a stream that is ended would go on being read, for ever."""
    await shard.runs.watch("default", "a1", ["x"])
    lost = 0
    for round_ in range(20 * _STEPS):
        call = asyncio.create_task(shard.runs.watch("default", "a1", ["x"] * 50))
        for _ in range(round_ % _STEPS):
            await asyncio.sleep(0)
        had_ended = call.done()
        call.cancel()
        await asyncio.wait({call}, timeout=10)
        assert call.done()
        lost += not had_ended and not call.cancelled()
    assert lost == 0
