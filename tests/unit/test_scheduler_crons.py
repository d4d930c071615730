"""What the scheduler makes of crons whose time has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.crons import checked, made
from tests.support.world import NAMESPACE
from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.crons import run_id_of
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.due_ticks import MISSED_AFTER_MS
from windlass_core.domain.phase import Phase
from windlass_core.metrics import Metrics
from windlass_core.store.keys import Keys
from windlass_scheduler.crons import CronFirer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.world import World
    from windlass_core.store.crons import StoredCron

SECOND_MS, MINUTE_MS = 1_000, 60_000
ALL = workflow_pb2.CATCH_UP_ALL


@pytest.fixture
def firer(world: World) -> CronFirer:
    """Give one scheduler's."""
    return CronFirer(world.shard, DefinitionCache(world.shard.definitions), Metrics())


async def _register(world: World, name: str = "t", **fields: object) -> None:
    message = workflow_pb2.WorkflowDefinition(name=name, tasks=[workflow_pb2.TaskDefinition(name=name)], **fields)  # type: ignore[arg-type]  # any of its fields
    await DefinitionCache(world.shard.definitions).register(NAMESPACE, [message], "workflows")


async def _settled_before(world: World, *cron_ids: str, ms: int) -> int:
    """Lets all have been settled so long before now, and be due. Gives that time."""
    now = (await world.look()).now_ms
    for cron_id in cron_ids:
        await world.shard.redis.hset(Keys(0).of("cron", cron=cron_id), "a", now - ms)
        await world.shard.redis.hdel(Keys(0).of("cron", cron=cron_id), "lt")
        await world.shard.redis.zadd(Keys(0).of("crons_due"), {cron_id: now - ms})
    return now - ms


async def _fire_all(firer: CronFirer) -> None:
    while await firer.fire_due():
        pass


async def _stored(world: World, cron_id: str) -> StoredCron:
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron_id])
    assert stored is not None
    return stored


async def _ticks(world: World) -> list[int]:
    """The ticks that gave runs, in order."""
    runs = list((await world.look()).phases())
    return sorted(run_pb2.RunSpec.FromString(body).tick_ms for body in await world.shard.runs.specs(runs))


def _seconds(after: int, until: int) -> Sequence[int]:
    return range((after // SECOND_MS + 1) * SECOND_MS, until + 1, SECOND_MS)


async def test_a_new_cron_is_due_with_its_first_tick(world: World, firer: CronFirer) -> None:
    """Nothing is fired for the time before it was made."""
    await _register(world)
    cron = await made(world, expression="* * * * *")
    await _fire_all(firer)
    s = await world.look()
    assert not s.phases()
    created = (await _stored(world, cron)).created_ms
    assert s.zset("crd") == {cron: (created // MINUTE_MS + 1) * MINUTE_MS}


async def test_each_tick_gives_a_run_that_says_what_made_it(world: World, firer: CronFirer) -> None:
    """Its input, its metadata with the definition's, the cron and the tick."""
    await _register(world, default_metadata_json=b'{"a":1}', default_queue="slow")
    cron = await made(world, expression="* * * * * *", input_json=b'{"path":"x"}')
    begin = await _settled_before(world, cron, ms=3 * SECOND_MS)
    await _fire_all(firer)
    ticks = await _ticks(world)
    assert ticks == list(_seconds(begin, ticks[-1]))
    assert len(ticks) >= 3
    runs = await world.shard.runs.get(NAMESPACE, [run_id_of(cron, tick) for tick in ticks])
    for run, tick in zip(runs, ticks, strict=True):
        assert run is not None
        spec = run_pb2.RunSpec.FromString(run.spec)
        assert (spec.cron_id, spec.tick_ms, spec.input_json) == (cron, tick, b'{"path":"x"}')
        assert json.loads(spec.metadata_json) == {"a": 1}
        assert (run.flow, run.phase) == ("default|slow|t", Phase.READY)


async def test_two_schedulers_fire_each_tick_once(world: World, firer: CronFirer) -> None:
    """Whichever is first, and though one has decided long before it acts."""
    await _register(world)
    crons = [await made(world, f"c{i}", expression="* * * * * *") for i in range(5)]
    await _settled_before(world, *crons, ms=5 * SECOND_MS)
    slow = CronFirer(world.shard, DefinitionCache(world.shard.definitions), Metrics())
    due = await world.shard.crons.due()
    decided = [await slow._decide(cron, due.now_ms, 5) for cron in due.crons]
    await _fire_all(firer)
    before = await _ticks(world)
    assert await world.shard.crons.fire(decided) == [0] * 5
    assert await _ticks(world) == before
    await _fire_all(slow)
    ticks = await _ticks(world)
    assert all(ticks.count(tick) == 5 for tick in ticks)


async def test_all_missed_ticks_come_in_pages_each_once(world: World, firer: CronFirer) -> None:
    """A thousand of them, five hundred to a page; then what is in time."""
    await _register(world)
    cron = await made(world, expression="* * * * * *", catch_up=ALL, input_json=b'"' + b"x" * 33_000 + b'"')
    begin = await _settled_before(world, cron, ms=2_000 * SECOND_MS)
    await _fire_all(firer)
    ticks = await _ticks(world)
    missed, in_time = ticks[:1_000], ticks[1_000:]
    assert missed == list(_seconds(begin, missed[-1]))
    assert in_time == list(_seconds(in_time[0] - 1, in_time[-1]))
    assert len(in_time) >= MISSED_AFTER_MS // SECOND_MS
    assert (await world.look()).hash(f"cr:{cron}")["mk"] == b"0"


async def test_a_definition_that_has_vanished_is_told_and_the_cron_goes_on(world: World, firer: CronFirer) -> None:
    """The tick comes to nothing; the next one is run once the definition is back."""
    cron = await made(world, expression="* * * * * *")
    begin = await _settled_before(world, cron, ms=2 * SECOND_MS)
    await _fire_all(firer)
    stored = await _stored(world, cron)
    assert "nobody has registered 't'" in stored.error
    assert stored.error_ms > 0
    assert stored.settled_ms > begin
    assert not (await world.look()).phases()
    await _register(world)
    await _settled_before(world, cron, ms=2 * SECOND_MS)
    await _fire_all(firer)
    assert (await _stored(world, cron)).error == ""
    assert await _ticks(world)


async def test_a_new_version_of_the_definition_counts_for_the_next_tick(world: World, firer: CronFirer) -> None:
    """The scheduler hears of it with what is due."""
    await _register(world)
    cron = await made(world, expression="* * * * * *")
    await _settled_before(world, cron, ms=2 * SECOND_MS)
    await _fire_all(firer)
    await _register(world, default_queue="other")
    another = await made(world, "another", expression="* * * * * *")
    await _settled_before(world, another, ms=2 * SECOND_MS)
    await _fire_all(firer)
    last = (await _stored(world, another)).last_run_id
    (run,) = await world.shard.runs.get(NAMESPACE, [last])
    assert run is not None
    assert run.flow == "default|other|t"


async def test_times_that_can_no_longer_be_told_are_told_of(
    world: World, firer: CronFirer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone that this machine does not know: the cron rests where it is, and the others are fired."""
    await _register(world)
    lost = checked("lost", "* * * * * *", timezone="Europe/Berlin")
    monkeypatch.setattr("windlass_core.domain.cron_spec.check_schedule", lambda *_: None)
    unknown = checked("unknown", "* * * * * *", timezone="Middle/Earth")
    for each in (lost, unknown):
        assert await world.shard.crons.create(NAMESPACE, each) == "created"
    await _settled_before(world, lost.cron_id, unknown.cron_id, ms=2 * SECOND_MS)
    await _fire_all(firer)
    assert "IANA time zone" in (await _stored(world, unknown.cron_id)).error
    assert set((await world.look()).zset("crd")) == {lost.cron_id}
    assert await _ticks(world)


async def test_the_counter_of_accepted_runs_counts_them(world: World) -> None:
    """As if somebody had submitted them."""
    await _register(world)
    metrics = Metrics()
    cron = await made(world, expression="* * * * * *")
    await _settled_before(world, cron, ms=3 * SECOND_MS)
    await _fire_all(CronFirer(world.shard, DefinitionCache(world.shard.definitions), metrics))
    ticks = len(await _ticks(world))
    assert ticks >= 3
    assert f'windlass_runs_submitted_total{{workflow="t"}} {ticks}.0' in metrics.text().decode()


async def test_a_cron_s_runs_pass_the_gates_of_their_task(world: World, firer: CronFirer) -> None:
    """Also a rate limit that is put by name; until it is, the cron says what is missing."""
    limit = workflow_pb2.RateLimit(static_key="api")
    task = workflow_pb2.TaskDefinition(name="t", rate_limits=[limit])
    message = workflow_pb2.WorkflowDefinition(name="t", tasks=[task])
    await DefinitionCache(world.shard.definitions).register(NAMESPACE, [message], "workflows")
    cron = await made(world, expression="* * * * * *")
    await _settled_before(world, cron, ms=2 * SECOND_MS)
    await _fire_all(firer)
    assert "nobody has put the rate limit 'api'" in (await _stored(world, cron)).error
    await world.shard.rate_limits.put(NAMESPACE, "api", 5, MINUTE_MS)
    await _settled_before(world, cron, ms=2 * SECOND_MS)
    await _fire_all(firer)
    stored = await _stored(world, cron)
    assert stored.error == ""
    assert await world.field(stored.last_run_id, "g")
