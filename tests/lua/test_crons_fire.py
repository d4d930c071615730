"""crons_fire: fires ticks of crons, each as one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.crons import checked, firing, made
from tests.support.world import NAMESPACE
from windlass.v1 import workflow_pb2
from windlass_core.crons import run_id_of
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World

SKIP, CANCEL = workflow_pb2.OVERLAP_SKIP, workflow_pb2.OVERLAP_CANCEL_OTHER
# After whatever time it is: ticks have to come after the cron was made.
TICK = 4_000_000_000_000


async def test_a_tick_gives_one_run(world: World) -> None:
    """Under an id of its own, given to a worker as any other; the cron is due again with the next tick."""
    await world.connect()
    cron = await made(world)
    assert await world.shard.crons.fire([firing(cron, [TICK], next_ms=TICK + 60_000)]) == [1]
    s = await world.look()
    assert s.phases() == {run_id_of(cron, TICK): Phase.READY}
    assert s.zset("crd") == {cron: TICK + 60_000}
    assert s.zset("T") == {"crons:": TICK + 60_000}
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert (stored.last_tick_ms, stored.last_run_id, stored.settled_ms) == (TICK, run_id_of(cron, TICK), TICK)
    assert await world.match() == 1


async def test_a_tick_that_was_fired_is_not_fired_again(world: World) -> None:
    """By a scheduler that did not hear of it; what comes after it still is."""
    cron = await made(world)
    assert await world.shard.crons.fire([firing(cron, [TICK], next_ms=TICK + 1)]) == [1]
    assert await world.shard.crons.fire([firing(cron, [TICK], next_ms=TICK + 1)]) == [0]
    assert await world.shard.crons.fire([firing(cron, [TICK, TICK + 1], next_ms=TICK + 2)]) == [1]
    assert set((await world.look()).phases()) == {run_id_of(cron, TICK), run_id_of(cron, TICK + 1)}


async def test_one_that_stood_still_turns_nothing_back(world: World) -> None:
    """It knows less than what is settled: neither its ticks nor its next time count."""
    cron = await made(world)
    await world.shard.crons.fire([firing(cron, [TICK, TICK + 5], next_ms=TICK + 6)])
    before = await world.look()
    assert await world.shard.crons.fire([firing(cron, [TICK + 1], next_ms=TICK + 2)]) == [0]
    assert (await world.look()).values["crd"] == before.values["crd"]
    assert len((await world.look()).phases()) == 2


async def test_a_cron_that_was_changed_paused_or_deleted_is_left_alone(world: World) -> None:
    """What the scheduler knew of it is no longer true."""
    changed, paused, deleted = [await made(world, name) for name in "abc"]
    assert await world.shard.crons.change(NAMESPACE, 1, checked("a", "@hourly")) == "changed"
    await world.shard.crons.switch(NAMESPACE, "pause", [paused])
    await world.shard.crons.switch(NAMESPACE, "delete", [deleted])
    assert await world.shard.crons.fire([firing(cron, [TICK]) for cron in (changed, paused, deleted)]) == [0, 0, 0]
    s = await world.look()
    assert not s.phases()
    assert set(s.zset("crd")) == {changed}


async def test_without_a_tick_only_the_time_is_told(world: World) -> None:
    """A new cron; and missed ticks that are passed over are settled."""
    cron = await made(world)
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert await world.shard.crons.fire([firing(cron, settled_ms=stored.settled_ms, next_ms=TICK)]) == [0]
    assert (await world.look()).zset("crd") == {cron: TICK}
    assert await world.shard.crons.fire([firing(cron, settled_ms=TICK, made_up=7, next_ms=TICK + 9)]) == [0]
    fields = (await world.look()).hash(f"cr:{cron}")
    assert (fields["a"], fields["mk"]) == (str(TICK).encode(), b"7")


async def test_a_cron_that_is_never_due_again_stays_in_the_list(world: World) -> None:
    """It has no timer."""
    cron = await made(world)
    await world.shard.crons.fire([firing(cron, [TICK], next_ms=0)])
    s = await world.look()
    assert not s.zset("crd")
    assert not s.zset("T")
    assert f"cr:{cron}" in s.values


async def test_what_came_to_nothing_is_told_until_a_tick_is_run(world: World) -> None:
    """With its time; the cron goes on."""
    cron = await made(world)
    assert await world.shard.crons.fire([firing(cron, settled_ms=TICK, error="nobody has it")]) == [0]
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert stored.error == "nobody has it"
    assert stored.error_ms > 0
    assert await world.shard.crons.fire([firing(cron, [TICK + 1])]) == [1]
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert (stored.error, stored.error_ms) == ("", 0)


async def test_runs_overlap_where_nothing_else_is_asked_for(world: World) -> None:
    """The tick before is still under way."""
    cron = await made(world)
    for tick in (TICK, TICK + 1):
        assert await world.shard.crons.fire([firing(cron, [tick])]) == [1]
    assert await world.shard.crons.fire([firing(cron, [TICK + 2, TICK + 3])]) == [2]
    assert set((await world.look()).phases().values()) == {Phase.READY}


async def test_a_tick_is_passed_over_while_the_run_before_is_under_way(world: World) -> None:
    """Waiting, running; in one go too. The tick after its end is run."""
    await world.connect()
    cron = await made(world, overlap=SKIP)
    assert await world.shard.crons.fire([firing(cron, [TICK, TICK + 1])]) == [1]
    assert await world.shard.crons.fire([firing(cron, [TICK + 2])]) == [0]
    await world.match()
    assert await world.shard.crons.fire([firing(cron, [TICK + 3])]) == [0]
    await world.complete(run_id_of(cron, TICK))
    assert await world.shard.crons.fire([firing(cron, [TICK + 4])]) == [1]
    assert set((await world.look()).phases()) == {run_id_of(cron, TICK), run_id_of(cron, TICK + 4)}


async def test_the_run_before_is_cancelled_for_the_tick(world: World) -> None:
    """At once where it waits, also where both come in one go; its worker is told where it runs."""
    await world.connect()
    cron = await made(world, overlap=CANCEL)
    runs = [run_id_of(cron, TICK + i) for i in range(4)]
    assert await world.shard.crons.fire([firing(cron, [TICK])]) == [1]
    assert await world.shard.crons.fire([firing(cron, [TICK + 1, TICK + 2])]) == [2]
    assert [await world.phase(run) for run in runs[:3]] == [Phase.CANCELLED, Phase.CANCELLED, Phase.READY]
    await world.match()
    await world.inbox()
    assert await world.shard.crons.fire([firing(cron, [TICK + 3])]) == [1]
    assert [entry[0] for entry in await world.inbox()] == [b"cancel"]
    assert await world.field(runs[2], "cx") == b"the next tick of its cron has come"


async def test_crons_of_several_namespaces_fire_in_one_go(world: World) -> None:
    """Each run is listed where its cron is."""
    mine = await made(world)
    theirs = await made(world, namespace="acme")
    fired = [firing(mine, [TICK]), firing(theirs, [TICK])]
    (tick, run) = fired[1].ticks[0]
    fired[1].ticks[0] = (tick, run._replace(flow="acme|default|t"))
    assert await world.shard.crons.fire(fired) == [1, 1]
    s = await world.look()
    assert set(s.zset("ix:default")) == {run_id_of(mine, TICK)}
    assert set(s.zset("ix:acme")) == {run_id_of(theirs, TICK)}


async def test_hundreds_of_crons_fire_in_one_go(world: World) -> None:
    """The largest page."""
    crons = [await made(world, f"cron {i}") for i in range(50)]
    assert await world.shard.crons.fire([firing(c, [TICK + i for i in range(40)]) for c in crons]) == [40] * 50
    assert len((await world.look()).phases()) == 2_000


async def test_nothing_is_fired_where_the_store_is_full(world: World) -> None:
    """The tick is not settled: it is fired when there is room."""
    cron = await made(world)
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await world.shard.crons.fire([firing(cron, [TICK])])
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    assert await world.shard.crons.fire([firing(cron, [TICK])]) == [1]


async def test_the_timer_of_the_crons_tells_the_scheduler(world: World) -> None:
    """It stays, some seconds on, until they have been fired: whoever was told may die of it."""
    await made(world)
    fired = await world.shard.scheduling.fire()
    assert (fired.count, fired.crons_are_due) == (1, True)
    assert 0 < fired.next_due_ms - fired.now_ms <= 5_000
    await world.make_due("crons")
    assert (await world.shard.scheduling.fire()).crons_are_due
    assert not (await world.shard.scheduling.fire()).crons_are_due


async def test_a_tick_whose_idempotency_key_another_run_has_is_told_of(world: World) -> None:
    """Its task gives runs keys: the one that is there stands for it, and the cron says so."""
    claim = ["default|t|k", "digest", 60_000, "same"]
    (holder,) = await world.submit(more={"i": claim})
    cron = await made(world)
    fired = firing(cron, [TICK])
    (tick, run) = fired.ticks[0]
    fired.ticks[0] = (tick, run._replace(more={"i": claim}))
    await world.shard.crons.fire([fired])
    assert set((await world.look()).phases()) == {holder}
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert stored.last_run_id == holder
    assert "has the idempotency key of the tick" in stored.error
