"""cron_change: changes a cron that was made by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.crons import checked, firing, made
from tests.support.world import NAMESPACE
from windlass.v1 import workflow_pb2

if TYPE_CHECKING:
    from tests.support.world import World

TICK = 4_000_000_000_000


async def test_other_times_count_from_now(world: World) -> None:
    """An outage of the old ones is forgotten; another zone is another time too."""
    cron = await made(world)
    for changes, other in enumerate((checked(expression="@hourly"), checked(timezone="Asia/Tokyo")), start=1):
        await world.shard.crons.fire([firing(cron, settled_ms=TICK, made_up=9, next_ms=TICK + 1, revision=changes)])
        assert await world.shard.crons.change(NAMESPACE, changes, other) == "changed"
        due = await world.shard.crons.due()
        (found,) = due.crons
        assert (found.revision, found.body, found.made_up) == (changes + 1, other.body, 0)
        assert found.settled_ms <= due.now_ms


async def test_another_input_leaves_the_times_alone(world: World) -> None:
    """What is due stays due."""
    cron = await made(world)
    await world.shard.crons.fire([firing(cron, settled_ms=TICK, next_ms=TICK + 1)])
    other = checked(input_json=b'{"a":1}', overlap=workflow_pb2.OVERLAP_SKIP)
    assert await world.shard.crons.change(NAMESPACE, 1, other) == "changed"
    s = await world.look()
    fields = s.hash(f"cr:{cron}")
    assert (fields["b"], fields["ov"], fields["a"]) == (other.body, b"skip", str(TICK).encode())
    assert s.zset("crd") == {cron: TICK + 1}


async def test_who_knew_an_older_one_changes_nothing(world: World) -> None:
    """It reads again, and decides anew."""
    await made(world)
    assert await world.shard.crons.change(NAMESPACE, 1, checked(expression="@hourly")) == "changed"
    assert await world.shard.crons.change(NAMESPACE, 1, checked(expression="@weekly")) == "stale"


async def test_a_cron_that_rests_is_changed_and_rests(world: World) -> None:
    """It is not due."""
    cron = await made(world)
    await world.shard.crons.switch(NAMESPACE, "pause", [cron])
    assert await world.shard.crons.change(NAMESPACE, 1, checked(expression="@hourly")) == "changed"
    assert not (await world.look()).zset("crd")


async def test_only_ones_own_that_calls_made_can_be_changed(world: World) -> None:
    """Neither a definition's nor somebody else's, and none that isn't there."""
    declared = checked(declared=True)
    await world.shard.definitions.register(NAMESPACE, [("t", "v1", b"", [declared])])
    assert await world.shard.crons.change(NAMESPACE, 1, declared) == "declared"
    assert await world.shard.crons.change("acme", 1, declared) == "unknown"
    assert await world.shard.crons.change(NAMESPACE, 1, checked()) == "unknown"
