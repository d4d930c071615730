"""run_replay: makes ended runs ready again, under their own ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE, permit
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.limits import MAX_CRASHES
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def _replay(world: World, *runs: str, only_failed: bool = False) -> list[str]:
    return await world.shard.runs.replay(NAMESPACE, list(runs), only_failed=only_failed)


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "cancelled while it waited"])
async def test_an_ended_run_is_ready_again(world: World, end: str) -> None:
    """However it ended, as if it had just been submitted; and it can end again."""
    await world.connect()
    (run,) = await world.submit(timeout_ms=60_000, expires_ms=60_000)
    if end != "cancelled while it waited":
        await world.match()
    if end.startswith("cancelled"):
        await world.cancel(run)
    if end == "failed":
        await world.fail(run, "dead")
    elif end != "cancelled while it waited":
        await world.complete(run)
    before = (await world.look()).hash(f"r:{run}")
    assert await _replay(world, run) == ["replayed"]
    fields = (await world.look()).hash(f"r:{run}")
    assert {name for name in fields if fields[name] == before.get(name)} == {"b", "f", "p", "v", "c", "x"}
    assert fields.keys() - {"b", "f", "p", "v", "c", "x"} == {"ph", "t", "rp"}
    assert not (await world.look()).keys_of("failed_by_time")
    await world.delivered()
    assert await world.match() == 1
    ((_, attempt),) = await world.delivered()
    assert (attempt.run_id, attempt.number, attempt.cancelled, attempt.execution_timeout_ms) == (run, 1, False, 60_000)
    assert await world.complete(run) == ["recorded"]
    assert await world.phase(run) == Phase.COMPLETED


async def test_what_has_not_ended_is_not_changed(world: World) -> None:
    """Waiting, scheduled, leased, running, in backoff."""
    leased, backoff, running = await world.leased(3)
    await world.shard.runs.accept([(running, await world.lease(running))])
    await world.fail(backoff, delay_ms=60_000)
    (scheduled,) = await world.submit(delay_ms=60_000)
    (ready,) = await world.submit(task="other")
    before = (await world.look()).values
    assert await _replay(world, leased, backoff, running, scheduled, ready) == ["not_ended"] * 5
    assert (await world.look()).values == before


async def test_a_replay_that_is_repeated_changes_nothing(world: World) -> None:
    """Its answer was lost; or two people had one idea."""
    (run,) = await world.running()
    await world.fail(run, "dead")
    assert await _replay(world, run, run) == ["replayed", "already"]
    assert await _replay(world, run) == ["already"]
    assert await world.field(run, "rp") == b"1"
    await world.match()
    assert await _replay(world, run) == ["not_ended"]


async def test_only_the_failed_where_only_they_are_meant(world: World) -> None:
    """The dead letter has nothing else."""
    done, failed = await world.running(2)
    await world.complete(done)
    await world.fail(failed, "dead")
    assert await _replay(world, done, failed, only_failed=True) == ["not_failed", "replayed"]
    assert await world.phase(done) == Phase.COMPLETED


async def test_unknown_runs_are_told_apart(world: World) -> None:
    """Those that never were, and those of another namespace."""
    (other,) = await world.submit(namespace="other")
    await world.shard.runs.cancel("other", "stop", [other])
    (never,) = world.mint()
    assert await _replay(world, never, other) == ["unknown", "unknown"]
    assert await world.phase(other) == Phase.CANCELLED


async def test_its_failures_stay_and_tell_their_replay(world: World) -> None:
    """Attempts count from one each time; the worker hears of those of this time alone."""
    (run,) = await world.running()
    await world.fail(run, failure=b"first")
    await world.match()
    await world.fail(run, "dead", failure=b"second")
    await _replay(world, run)
    await world.match()
    await world.fail(run, failure=b"third")
    await world.match()
    failures = await world.shard.runs.failures(run)
    assert [(f.body, f.attempt, f.replay) for f in failures] == [
        (b"first", 1, 0),
        (b"second", 2, 0),
        (b"third", 1, 1),
    ]
    stored = (await world.shard.runs.get(NAMESPACE, [run]))[0]
    assert stored is not None
    assert (stored.attempt, stored.replays, stored.finished_ms) == (2, 1, 0)


async def test_a_late_answer_of_before_is_lost(world: World) -> None:
    """Its lease is nobody's."""
    ((run, lease),) = (await world.running()).items()
    await world.complete(run)
    await _replay(world, run)
    assert await world.shard.runs.complete([(run, lease, b"1")]) == ["lease_lost"]
    await world.match()
    assert await world.shard.runs.fail([(run, lease, "dead", 0, b"")]) == ["lease_lost"]
    assert await world.phase(run) == Phase.LEASED


async def test_who_waits_after_it_hears_of_the_new_end(world: World) -> None:
    """Who waited before has heard, and is told nothing more."""
    await world.connect()
    (run,) = await world.submit(api="a1")
    await world.match()
    await world.fail(run, "dead")
    assert len(await world.outbox()) == 1
    await _replay(world, run)
    await world.match()
    await world.complete(run)
    assert await world.outbox() == []
    await _replay(world, run)
    assert await world.shard.runs.watch(NAMESPACE, "a1", [run]) == []
    assert await world.outbox() == []
    await world.match()
    await world.complete(run, output=b'"again"')
    assert [entry[:3] for entry in await world.outbox()] == [[run.encode(), b"C", b'"again"']]


async def test_who_follows_it_is_told(world: World) -> None:
    """It has moved."""
    (run,) = await world.running()
    await world.shard.runs.follow(NAMESPACE, "a1", [run], follow=True)
    await world.complete(run)
    await world.outbox()
    await _replay(world, run)
    assert await world.outbox() == [[b"moved", run.encode()]]


async def test_its_retention_counts_from_its_last_end(world: World) -> None:
    """The entry of the first end deletes it neither early nor twice."""
    (run,) = await world.running()
    await world.complete(run)
    await _replay(world, run)
    assert await world.shard.runs.expire(-1, 10) == (0, False)
    assert await world.phase(run) == Phase.READY
    await world.match()
    await world.complete(run)
    await _replay(world, run)
    await world.match()
    await world.complete(run)
    assert await world.shard.runs.expire(-1, 10) == (1, False)
    assert not {"run", "done", "flows"} & set((await world.look()).families)


async def test_a_crasher_gets_all_its_chances_again(world: World) -> None:
    """What was charged before is forgiven."""

    async def crash() -> None:
        await world.connect()
        assert await world.match() == 1
        await world.shard.runs.accept([(run, await world.lease(run))])
        await world.expire_session("w1")
        await world.reap()

    (run,) = await world.submit()
    for _ in range(MAX_CRASHES):
        await crash()
    assert await world.phase(run) == Phase.FAILED
    await _replay(world, run, only_failed=True)
    for _ in range(MAX_CRASHES - 1):
        await crash()
    assert await world.phase(run) == Phase.READY


async def test_its_parent_knows_it_again(world: World) -> None:
    """Cancelling reaches it; a parent that is gone leaves no trace."""
    (parent,) = await world.running()
    (child,) = await world.submit(parent=parent, task="other")
    await world.cancel(parent)
    await world.fire()
    await world.complete(parent)
    await _replay(world, child)
    await _replay(world, parent)
    await world.cancel(parent)
    await world.fire()
    assert await world.phases([parent, child]) == {Phase.CANCELLED}
    await _replay(world, child)
    await world.shard.runs.expire(-1, 10)
    assert not (await world.look()).keys_of("children")
    await world.cancel(child)
    assert await _replay(world, child) == ["replayed"]
    assert not (await world.look()).keys_of("children")


async def test_it_waits_behind_what_waits(world: World) -> None:
    """Its turn was before; among themselves the replayed keep the order of their submits."""
    runs = list(await world.running(3))
    await world.complete(*runs)
    (waits,) = await world.submit()
    await world.delivered()
    await _replay(world, *reversed(runs))
    await world.match()
    assert [attempt.run_id for _, attempt in await world.delivered()] == [waits, *runs]


async def test_the_scheduler_is_woken(world: World) -> None:
    """Where a worker is free."""
    (run,) = await world.running()
    await world.complete(run)
    await world.match()
    await world.shard.redis.delete(world.shard.keys.of("wake"))
    await _replay(world, run)
    s = await world.look()
    assert (s.list("wake"), len(s.set("dirty"))) == (["1"], 1)


async def test_a_thousand_are_replayed_at_once(world: World) -> None:
    """The largest call."""
    runs = await world.submit(1000)
    await world.cancel(*runs)
    assert await _replay(world, *runs) == ["replayed"] * 1000
    assert await world.phases(runs) == {Phase.READY}


async def test_a_full_store_takes_no_replay(world: World) -> None:
    """It is new work."""
    (run,) = await world.submit()
    await world.cancel(run)
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await _replay(world, run)
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    assert await world.phase(run) == Phase.CANCELLED


async def test_nothing_to_replay_changes_nothing(world: World) -> None:
    """An empty batch."""
    before: Any = (await world.look()).values
    assert await _replay(world) == []
    assert (await world.look()).values == before


@pytest.mark.parametrize("strategy", ["rr", "cip", "cn"])
async def test_a_replay_waits_for_its_concurrency_key(world: World, strategy: str) -> None:
    """It cancels nobody, and is not cancelled for others: it is asked for, and comes when a permit is free."""
    gates = [permit(strategy=strategy, level="w")]
    await world.connect()
    (first,) = await world.submit(gates=gates)
    await world.match()
    await world.complete(first)
    (second,) = await world.submit(gates=gates)
    await world.match()
    await world.delivered()
    assert await _replay(world, first) == ["replayed"]
    assert await world.match() == 0
    assert (await world.phase(first), await world.phase(second)) == (Phase.READY, Phase.LEASED)
    await world.complete(second)
    await world.match()
    assert [attempt.run_id for _, attempt in await world.delivered()] == [first]
    assert await world.complete(first) == ["recorded"]
