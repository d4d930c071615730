"""crons_switch: lets crons rest or go on, or deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.crons import checked, firing, made
from tests.support.world import NAMESPACE

if TYPE_CHECKING:
    from tests.support.world import World

TICK = 4_000_000_000_000


async def test_a_cron_that_rests_is_not_due(world: World) -> None:
    """Nor is there a timer for it."""
    cron = await made(world)
    assert await world.shard.crons.switch(NAMESPACE, "pause", [cron, cron]) == ["done", "already"]
    s = await world.look()
    assert not s.zset("crd")
    assert not s.zset("T")
    assert (await world.shard.crons.due()).crons == []


async def test_a_cron_goes_on_with_the_first_tick_after_now(world: World) -> None:
    """Nothing of the time in which it rested is made up for."""
    cron = await made(world)
    await world.shard.crons.switch(NAMESPACE, "pause", [cron])
    await world.shard.redis.hset(world.shard.keys.of("cron", cron=cron), mapping={"a": 5, "mk": 3})
    assert await world.shard.crons.switch(NAMESPACE, "resume", [cron, cron]) == ["done", "already"]
    due = await world.shard.crons.due()
    (found,) = due.crons
    assert due.now_ms - 60_000 < found.settled_ms <= due.now_ms
    assert found.made_up == 0


async def test_a_deleted_cron_is_gone_and_its_runs_are_not(world: World) -> None:
    """Also one that rests; what is left has its timer."""
    gone, kept, resting = [await made(world, name) for name in ("gone", "kept", "resting")]
    await world.shard.crons.fire([firing(gone, [TICK])])
    await world.shard.crons.switch(NAMESPACE, "pause", [resting])
    outcomes = await world.shard.crons.switch(NAMESPACE, "delete", [gone, gone, resting])
    assert outcomes == ["done", "unknown", "done"]
    s = await world.look()
    assert len(s.phases()) == 1
    assert set(s.zset("crd")) == {kept}
    assert len(s.keys_of("cron")) == 1


async def test_a_declared_cron_can_rest_and_cannot_be_deleted(world: World) -> None:
    """The next worker would make it again."""
    cron = checked(declared=True)
    await world.shard.definitions.register(NAMESPACE, [("t", "v1", b"", [cron])])
    assert await world.shard.crons.switch(NAMESPACE, "delete", [cron.cron_id]) == ["declared"]
    assert await world.shard.crons.switch(NAMESPACE, "pause", [cron.cron_id]) == ["done"]


async def test_nobody_elses_cron_is_switched(world: World) -> None:
    """It is unknown."""
    cron = await made(world, namespace="acme")
    before = (await world.look()).values
    for how in ("pause", "resume", "delete"):
        assert await world.shard.crons.switch(NAMESPACE, how, [cron]) == ["unknown"]
    after = (await world.look()).values
    assert {key: after[key] for key in before} == before
