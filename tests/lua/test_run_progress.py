"""run_progress: keeps how far attempts are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE

if TYPE_CHECKING:
    from tests.support.world import World


async def _kept(world: World, run: str) -> bytes:
    (found,) = await world.shard.runs.standing(NAMESPACE, [run])
    assert found is not None
    return found.progress


async def test_the_last_word_counts(world: World) -> None:
    """Within one call too."""
    ((run, lease),) = (await world.running()).items()
    assert await _kept(world, run) == b""
    assert await world.shard.runs.progress([(run, lease, b"one"), (run, lease, b"two")]) == 2
    assert await _kept(world, run) == b"two"


async def test_an_attempt_that_is_not_accepted_yet_may_speak(world: World) -> None:
    """Its acceptance may travel behind."""
    ((run, lease),) = (await world.leased()).items()
    assert await world.shard.runs.progress([(run, lease, b"one")]) == 1


async def test_only_the_lease_of_a_live_attempt_speaks(world: World) -> None:
    """Not a former one, not one that nobody has, not one whose attempt has ended."""
    ((run, old),) = (await world.running()).items()
    await world.fail(run, "release")
    assert await world.shard.runs.progress([(run, old, b"queued again")]) == 0
    await world.match()
    lease = await world.lease(run)
    (never,) = world.mint()
    assert await world.shard.runs.progress([(run, old, b"old"), (never, lease, b"no run"), (run, lease, b"new")]) == 1
    await world.complete(run)
    assert await world.shard.runs.progress([(run, lease, b"too late")]) == 0
    assert await _kept(world, run) == b"new"


async def test_another_attempt_begins_without_progress(world: World) -> None:
    """What the former one said shows while the run waits, and no longer once the next one is given out."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.progress([(run, lease, b"half")])
    await world.fail(run)
    assert await _kept(world, run) == b"half"
    await world.match()
    assert await _kept(world, run) == b""


async def test_an_attempt_that_was_given_back_takes_its_progress_along(world: World) -> None:
    """The next one has the same number."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.progress([(run, lease, b"half")])
    await world.fail(run, "release")
    assert await _kept(world, run) == b""
    await world.match()
    assert await _kept(world, run) == b""


async def test_a_replay_begins_without_progress(world: World) -> None:
    """Its attempts count from 1 again."""
    ((run, lease),) = (await world.running()).items()
    await world.shard.runs.progress([(run, lease, b"all")])
    await world.complete(run)
    assert await world.shard.runs.replay(NAMESPACE, [run]) == ["replayed"]
    await world.match()
    assert await _kept(world, run) == b""


async def test_followers_are_told(world: World) -> None:
    """They look for themselves; of a run that nobody follows nothing is told."""
    followed, alone = await world.running(2)
    await world.shard.runs.follow(NAMESPACE, "a1", [followed], follow=True)
    leases = await world.leases(followed, alone)
    await world.shard.runs.progress([(run, leases[run], b"half") for run in (followed, alone)])
    assert await world.outbox() == [[b"moved", followed.encode()]]


async def test_nothing_told_changes_nothing(world: World) -> None:
    """An empty batch."""
    (run,) = await world.running()
    assert await world.shard.runs.progress([]) == 0
    assert await world.field(run, "pg") is None
