"""scheduled_change: gives a run that is still to come another time, or another spec."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE, flow_of
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World

HOUR_MS = 3_600_000


def _at(hours: float) -> int:
    return int(time.time() * 1000 + hours * HOUR_MS)


async def _change(world: World, run: str, *, before: bytes = b"spec", at: int, **fields: Any) -> str:
    values = {"spec": before, "flow": flow_of(), "level": 2, "version": "v1", **fields}
    return await world.shard.scheduled.change(NAMESPACE, before, Submission(run, **values, more={"at": at}))


async def test_a_scheduled_run_gets_another_time(world: World) -> None:
    """Earlier or later; when it was accepted stays."""
    (run,) = await world.submit(more={"at": _at(5)})
    before = (await world.look()).hash(f"r:{run}")
    for hours in (1, 9):
        at = _at(hours)
        assert await _change(world, run, at=at) == "changed"
        s = await world.look()
        assert s.zset("sx:default") == {run: at}
        assert s.zset("T") == {f"ready:{run}": at}
        fields = s.hash(f"r:{run}")
        assert (int(fields["t"]), int(fields["at"]), fields["c"]) == (at, at, before["c"])


async def test_a_time_that_has_passed_is_at_once(world: World) -> None:
    """A free worker gets it."""
    await world.connect()
    (run,) = await world.submit(more={"at": _at(5)})
    assert await _change(world, run, at=_at(-1)) == "changed"
    assert await world.phase(run) == Phase.READY
    assert await world.match() == 1


async def test_a_scheduled_run_gets_another_spec(world: World) -> None:
    """Input, limits, and the key that its input gives; those who wait for it still do."""
    gates = [["c", "default|t|t0|one", 1, "rr", "t"]]
    (run,) = await world.submit(more={"at": _at(5), "g": gates}, api="a1", expires_ms=1_000, timeout_ms=5)
    at = _at(6)
    assert await _change(world, run, before=b"other", at=at) == "stale"
    changed = Submission(run, b"other", flow_of(), 3, "v2", 0, 0, 7, more={"at": at})
    assert await world.shard.scheduled.change(NAMESPACE, b"spec", changed) == "changed"
    fields = (await world.look()).hash(f"r:{run}")
    assert (fields["b"], fields["p"], fields["v"], fields["x"], fields["w"]) == (b"other", b"3", b"v2", b"7", b"a1")
    assert "xs" not in fields
    assert "g" not in fields
    assert (await world.look()).zset("T") == {f"ready:{run}": at}


async def test_its_time_to_start_counts_from_its_time(world: World) -> None:
    """A run for tomorrow is not cancelled today for not having started."""
    at = _at(5)
    (run,) = await world.submit(more={"at": at}, expires_ms=1_000)
    assert (await world.look()).zset("T")[f"start:{run}"] == at + 1_000


async def test_what_has_begun_is_too_late(world: World) -> None:
    """Ready, running or ended."""
    await world.connect()
    (run,) = await world.submit(more={"at": _at(5)})
    await world.make_due("ready")
    await world.fire()
    assert await _change(world, run, at=_at(6)) == "late"
    await world.match()
    assert await _change(world, run, at=_at(6)) == "late"
    await world.complete(run)
    assert await _change(world, run, at=_at(6)) == "late"
    assert await world.phase(run) == Phase.COMPLETED


async def test_only_scheduled_runs_of_the_namespace_can_be_changed(world: World) -> None:
    """Not one with a delay, none of somebody else's, none that isn't there."""
    (delayed,) = await world.submit(delay_ms=60_000)
    (foreign,) = await world.submit(more={"at": _at(5)}, namespace="acme")
    for run in (delayed, foreign, *world.mint()):
        assert await _change(world, run, at=_at(6)) == "unknown"


async def test_nothing_is_changed_where_the_store_is_full(world: World) -> None:
    """A larger input needs room."""
    (run,) = await world.submit(more={"at": _at(5)})
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await _change(world, run, at=_at(6))
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    assert await _change(world, run, at=_at(6)) == "changed"


async def test_scheduled_runs_are_listed_by_their_time(world: World) -> None:
    """In pages, those of one millisecond too; no other run is looked at."""
    at = _at(5)
    same = await world.submit(5, more={"at": at})
    (later,) = await world.submit(more={"at": at + 2})
    (earlier,) = await world.submit(more={"at": at - 2})
    await world.submit(5, delay_ms=60_000)
    await world.submit(1, namespace="acme", more={"at": at})
    expected = [(earlier, at - 2), *((run, at) for run in sorted(same)), (later, at + 2)]
    found: list[tuple[str, int]] = []
    while page := await world.shard.scheduled.page(NAMESPACE, (found[-1][1], found[-1][0]) if found else None, 0, 0, 2):
        found += page
    assert found == expected
    assert await world.shard.scheduled.page(NAMESPACE, None, at, at + 2, 100) == expected[1:6]
    assert await world.shard.scheduled.page(NAMESPACE, None, at + 3, 0, 100) == []


async def test_a_scheduled_run_leaves_the_list_with_its_time(world: World) -> None:
    """Or when it is cancelled, or did not start in time."""
    runs = await world.submit(3, more={"at": _at(5)})
    (never,) = await world.submit(more={"at": _at(5)}, expires_ms=1)
    await world.cancel(runs[0])
    assert set((await world.look()).zset("sx:default")) == {*runs[1:], never}
    await world.make_due("start")
    await world.fire()
    assert set((await world.look()).zset("sx:default")) == {*runs[1:]}
    await world.make_due("ready")
    await world.fire()
    assert not (await world.look()).keys_of("scheduled")


async def test_a_scheduled_run_that_failed_and_waits_is_not_listed(world: World) -> None:
    """It has been started."""
    await world.connect()
    (run,) = await world.submit(more={"at": _at(-1)})
    await world.match()
    await world.fail(run, delay_ms=60_000)
    await world.make_due("ready")
    await world.fire()
    assert await world.phase(run) == Phase.READY
