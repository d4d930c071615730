"""run_delete: deletes runs that ended FAILED, before their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def _delete(world: World, *runs: str) -> list[str]:
    return await world.shard.runs.delete(NAMESPACE, list(runs))


async def test_all_that_belongs_to_a_failed_run_goes(world: World) -> None:
    """Its hash, failures, log, stream, children and places in the lists; retention finds nothing more of it."""
    (run,) = await world.running()
    await world.submit(2, parent=run, task="other", delay_ms=60_000)
    await world.shard.runs.log([(run, await world.lease(run), [b"line"])])
    await world.shard.runs.put_chunks([(run, await world.lease(run), [b"chunk"], 0)])
    await world.fail(run, "dead")
    assert await _delete(world, run) == ["deleted"]
    s = await world.look()
    assert not {"failures", "log", "stream", "children", "failed_by_time"} & set(s.families)
    assert run not in s.phases()
    assert run not in s.zset(f"ix:{NAMESPACE}")
    assert await world.shard.runs.expire(-1, 10) == (0, False)
    assert "done" not in (await world.look()).families


async def test_no_other_run_is_deleted(world: World) -> None:
    """What waits, runs, or ended well; what is another namespace's; what never was."""
    done, running = await world.running(2)
    await world.complete(done)
    (cancelled,) = await world.submit()
    await world.cancel(cancelled)
    (other,) = await world.submit(namespace="other")
    (never,) = world.mint()
    outcomes = await _delete(world, done, running, cancelled, other, never)
    assert outcomes == ["not_failed", "not_failed", "not_failed", "unknown", "unknown"]
    assert set((await world.look()).phases()) == {done, running, cancelled, other}


async def test_deleting_twice_is_no_harm(world: World) -> None:
    """Also in one call."""
    (run,) = await world.running()
    await world.fail(run, "dead")
    assert await _delete(world, run, run) == ["deleted", "unknown"]
    assert await _delete(world, run) == ["unknown"]


async def test_its_flow_goes_with_it(world: World) -> None:
    """Where it was the last."""
    (run,) = await world.running(queue="tenant")
    await world.fail(run, "dead")
    await _delete(world, run)
    assert "flows" not in (await world.look()).families


async def test_its_id_is_free(world: World) -> None:
    """The entry of its end does not touch a run that is submitted under it anew."""
    (run,) = await world.running()
    await world.fail(run, "dead")
    await _delete(world, run)
    assert await world.submit(ids=[run]) == [run]
    assert await world.shard.runs.expire(-1, 10) == (0, False)
    assert await world.phase(run) == Phase.READY


async def test_a_parent_forgets_it(world: World) -> None:
    """Its children are those that are kept."""
    (parent,) = await world.running()
    (child,) = await world.running(parent=parent)
    await world.fail(child, "dead")
    await _delete(world, child)
    assert "children" not in (await world.look()).families
