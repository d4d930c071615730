"""run_accept: a worker has got attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def test_accepted_attempts_run(world: World) -> None:
    """Leased becomes running, once."""
    leases = await world.leased(3)
    assert await world.shard.runs.accept(list(leases.items())) == 3
    assert await world.phases(list(leases)) == {Phase.RUNNING}
    assert await world.shard.runs.accept(list(leases.items())) == 0


async def test_a_wrong_lease_accepts_nothing(world: World) -> None:
    """Another's, an older one's, or that of a run that is gone."""
    (run,) = await world.leased()
    old = await world.lease(run)
    await world.fail(run, "release")
    assert await world.shard.runs.accept([(run, old), (run, "0" * 32), (world.mint()[0], old)]) == 0
    assert await world.phase(run) == Phase.READY
    await world.match()
    assert await world.shard.runs.accept([(run, old)]) == 0
    assert await world.phase(run) == Phase.LEASED


async def test_an_ended_attempt_is_not_accepted(world: World) -> None:
    """Its completion came in the same message, and was faster."""
    ((run, lease),) = (await world.leased()).items()
    await world.complete(run)
    assert await world.shard.runs.accept([(run, lease)]) == 0
    assert await world.phase(run) == Phase.COMPLETED


async def test_an_attempt_that_waits_for_its_retry_is_not_accepted(world: World) -> None:
    """Its lease is still in the run, but no longer good."""
    ((run, lease),) = (await world.leased()).items()
    await world.fail(run, "retry", delay_ms=60_000)
    assert await world.shard.runs.accept([(run, lease)]) == 0
    assert await world.phase(run) == Phase.BACKOFF


async def test_an_empty_batch_accepts_nothing(world: World) -> None:
    """Nothing to do."""
    assert await world.shard.runs.accept([]) == 0
