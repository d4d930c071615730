"""scheduled_delete: cancels runs that are still to come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def test_what_is_still_to_come_is_cancelled(world: World) -> None:
    """Who waits for it is told; what has begun, or was never scheduled, is left alone."""
    at = int(time.time() * 1000) + 60_000
    (due,) = await world.submit(more={"at": at})
    await world.make_due("ready")
    await world.fire()
    (run,) = await world.submit(more={"at": at}, api="a1", expires_ms=5)
    (delayed,) = await world.submit(delay_ms=60_000)
    (foreign,) = await world.submit(more={"at": at}, namespace="acme")
    runs = [run, due, delayed, foreign, *world.mint(), run]
    outcomes = await world.shard.scheduled.delete(NAMESPACE, "not needed", runs)
    assert outcomes == ["deleted", "late", "unknown", "unknown", "unknown", "late"]
    assert [await world.phase(each) for each in runs[:4]] == [
        Phase.CANCELLED, Phase.READY, Phase.SCHEDULED, Phase.SCHEDULED,
    ]  # fmt: skip
    assert await world.outbox() == [[run.encode(), b"X", b"", b"", b"not needed", b"default"]]
    assert set((await world.look()).zset("T")) == {f"ready:{delayed}", f"ready:{foreign}"}
