"""run_refresh: attempts have asked for more time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass_core.domain.limits import STOP_GRACE_MS

if TYPE_CHECKING:
    from tests.support.world import World


async def _stops_in_ms(world: World, run: str) -> float:
    """How long the engine still waits for an attempt to end."""
    s = await world.look()
    return s.zset("T")[f"stop:{run}:{s.hash(f'r:{run}')['L'].decode()}"] - s.now_ms


async def test_the_time_to_stop_counts_from_now(world: World) -> None:
    """Later or earlier, as often as it is asked for; with the grace that the worker has to tell."""
    ((run, lease),) = (await world.running(timeout_ms=60_000)).items()
    for timeout_ms in (900_000, 300_000):
        assert await world.shard.runs.refresh([(run, lease, timeout_ms)]) == 1
        assert 0 <= timeout_ms + STOP_GRACE_MS - await _stops_in_ms(world, run) < 60_000
    assert len((await world.look()).zset("T")) == 1


async def test_an_attempt_that_has_not_been_accepted_can_ask_too(world: World) -> None:
    """Its accept may still be on the way."""
    ((run, lease),) = (await world.leased(timeout_ms=60_000)).items()
    assert await world.shard.runs.refresh([(run, lease, 900_000)]) == 1


async def test_what_has_no_limit_gets_none(world: World) -> None:
    """More time than for ever makes no sense."""
    ((run, lease),) = (await world.running()).items()
    assert await world.shard.runs.refresh([(run, lease, 900_000)]) == 0
    assert not (await world.look()).zset("T")


async def test_only_the_exact_lease_moves_it(world: World) -> None:
    """A lost one, one whose attempt has ended, and that of a run that is gone change nothing."""
    ((run, old),) = (await world.running(timeout_ms=60_000)).items()
    await world.fail(run, delay_ms=60_000)
    assert await world.shard.runs.refresh([(run, old, 900_000)]) == 0
    await world.make_due("ready")
    await world.fire()
    await world.match()
    before = await world.look()
    assert await world.shard.runs.refresh([(run, old, 900_000), (world.mint()[0], old, 900_000)]) == 0
    assert (await world.look()).zset("T") == before.zset("T")


async def test_the_next_attempt_has_the_runs_own_timeout(world: World) -> None:
    """More time is one attempt's."""
    ((run, lease),) = (await world.running(timeout_ms=60_000)).items()
    await world.shard.runs.refresh([(run, lease, 900_000)])
    await world.fail(run)
    await world.match()
    assert await _stops_in_ms(world, run) <= 60_000 + STOP_GRACE_MS


async def test_an_empty_batch_moves_nothing(world: World) -> None:
    """Nothing to do."""
    assert await world.shard.runs.refresh([]) == 0
