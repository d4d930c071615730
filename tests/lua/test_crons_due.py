"""crons_due: tells which crons are to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.crons import checked, firing, made
from tests.support.world import NAMESPACE
from windlass_core.store.crons import CRONS_AT_ONCE

if TYPE_CHECKING:
    from tests.support.world import World

TICK = 4_000_000_000_000


async def test_only_what_is_due_is_told(world: World) -> None:
    """With all that deciding takes, and the epoch of the definitions."""
    await world.shard.definitions.register(NAMESPACE, [("t", "v1", b"", [])])
    cron, later = await made(world, "due"), await made(world, "later")
    await world.shard.crons.fire([firing(later, settled_ms=TICK, next_ms=TICK + 1)])
    due = await world.shard.crons.due()
    assert (due.epoch, due.more) == (1, False)
    (found,) = due.crons
    assert (found.cron_id, found.namespace, found.revision) == (cron, NAMESPACE, 1)
    assert (found.body, found.made_up) == (checked("due").body, 0)
    assert 0 < found.settled_ms <= due.now_ms


async def test_what_is_due_is_told_in_pages(world: World) -> None:
    """So many, or so many bytes: and one at the least."""
    crons = [checked(f"cron {i:03}", declared=True) for i in range(CRONS_AT_ONCE + 1)]
    await world.shard.definitions.register(NAMESPACE, [("t", "v1", b"", crons)])
    due = await world.shard.crons.due()
    assert (len(due.crons), due.more) == (CRONS_AT_ONCE, True)
    size = len(due.crons[0].body)
    for room, expected in ((size * 3, 3), (1, 1)):
        _now, _epoch, found, more = await world.shard.scripts.call("crons_due", (10, room))
        assert (len(found), bool(more)) == (expected, True)
