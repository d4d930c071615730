"""Concurrency keys that let nobody wait: the oldest is cancelled for the newest, or the newest at once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.permits import permits_out, under_way
from tests.support.world import World, permit
from windlass_core.domain.phase import Phase


async def test_a_new_run_takes_the_place_of_the_oldest(world: World) -> None:
    """Whoever holds a permit is cancelled and told; the new one starts when it has given it back."""
    await world.connect()
    gates = [permit(strategy="cip")]
    (old,) = await world.submit(gates=gates, leases=1)
    await world.inbox()
    (new,) = await world.submit(gates=gates, leases=1)
    (told,) = [entry for entry in await world.inbox() if entry[0] == b"cancel"]
    assert told[3] == [(await world.lease(old)).encode()]
    assert await world.phase(new) == Phase.READY
    await world.complete(old)
    assert await world.phase(old) == Phase.CANCELLED
    assert await world.field(old, "cx") == b"a newer run with its concurrency key took its place"
    assert await under_way(world, new) == [new]


async def test_what_waits_is_cancelled_for_a_newer_one_too(world: World) -> None:
    """The newest gets in, whatever came between."""
    await world.connect()
    gates = [permit(strategy="cip")]
    (old,) = await world.submit(gates=gates, leases=1)
    (between,) = await world.submit(gates=gates, leases=1)
    (newest,) = await world.submit(gates=gates, leases=1)
    assert await world.phase(between) == Phase.CANCELLED
    await world.complete(old)
    assert await under_way(world, newest) == [newest]


async def test_as_many_of_the_newest_stay_as_may_be(world: World) -> None:
    """Of one batch as of many submits."""
    await world.connect()
    runs = await world.submit(7, gates=[permit(most=3, strategy="cip")], leases=7)
    assert await under_way(world, *runs) == runs[4:]
    assert await world.phases(runs[:4]) == {Phase.CANCELLED}


async def test_children_of_the_cancelled_are_cancelled(world: World) -> None:
    """As by a cancel from outside."""
    await world.connect()
    gates = [permit(strategy="cip")]
    (old,) = await world.submit(gates=gates, leases=1)
    (child,) = await world.submit(parent=old, task="elsewhere")
    await world.submit(gates=gates, leases=1)
    await world.fire()
    assert await world.phase(child) == Phase.CANCELLED


async def test_a_delayed_run_takes_a_place_when_its_delay_ends(world: World) -> None:
    """Not before."""
    await world.connect()
    gates = [permit(strategy="cip")]
    (delayed,) = await world.submit(gates=gates, delay_ms=60_000)
    (old,) = await world.submit(gates=gates, leases=1)
    assert await world.field(old, "cx") is None
    await world.make_due("ready")
    await world.fire()
    assert await world.field(old, "cx") is not None
    await world.complete(old)
    assert await under_way(world, delayed) == [delayed]


@pytest.mark.parametrize("level", ["t", "w"])
async def test_a_retry_takes_nobodys_place(world: World, level: str) -> None:
    """It waits, or is the next to be cancelled."""
    await world.connect()
    gates = [permit(strategy="cip", most=2, level=level)]
    first, second = await world.submit(2, gates=gates, leases=2)
    await world.fail(first, delay_ms=9_000)
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await under_way(world, first, second) == [first, second]
    assert await world.field(second, "cx") is None


async def test_very_many_are_cancelled_in_pages(world: World) -> None:
    """1,000 runs of one batch, one of which may stay: 200 per call."""
    (*old, new) = await world.submit(1_000, gates=[permit(strategy="cip")])
    phases = (await world.look()).phases()
    assert Counter(phases.values()) == {Phase.CANCELLED: 200, Phase.READY: 800}
    assert await world.fire() == 4
    assert await world.phases(old) == {Phase.CANCELLED}
    assert await world.phase(new) == Phase.READY


async def test_a_new_run_is_cancelled_where_all_permits_are_taken(world: World) -> None:
    """It ends at once, with a reason, and who waits for it is told."""
    await world.connect()
    gates = [permit(strategy="cn")]
    (old,) = await world.submit(gates=gates, leases=1)
    (new,) = await world.submit(gates=gates, leases=1, api="a1")
    assert await world.phase(new) == Phase.CANCELLED
    reason = b"as many runs with its concurrency key as may be were there before"
    assert await world.field(new, "cx") == reason
    ((run, phase, _output, _failure, told, _namespace),) = await world.outbox()
    assert (run, phase, told) == (new.encode(), b"X", reason)
    await world.complete(old)
    (newest,) = await world.submit(gates=gates, leases=1)
    assert await under_way(world, newest) == [newest]


async def test_what_is_queued_counts_too(world: World) -> None:
    """Of one batch the first ones stay, though nobody has started them."""
    runs = await world.submit(5, gates=[permit(most=2, strategy="cn")])
    assert await world.phases(runs[:2]) == {Phase.READY}
    assert await world.phases(runs[2:]) == {Phase.CANCELLED}


async def test_a_delayed_run_is_cancelled_when_its_delay_ends(world: World) -> None:
    """If it is too many then; and it may be none then."""
    await world.connect()
    gates = [permit(strategy="cn")]
    first, second = await world.submit(2, gates=gates, delay_ms=60_000)
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await under_way(world, first) == [first]
    assert await world.phase(second) == Phase.CANCELLED


async def test_a_retry_is_never_cancelled_for_being_new(world: World) -> None:
    """It waits until it has its permit again."""
    await world.connect()
    gates = [permit(strategy="cn")]
    (first,) = await world.submit(gates=gates, leases=1)
    await world.fail(first, delay_ms=9_000)
    (second,) = await world.submit(gates=gates, leases=1)
    await world.make_due("ready")
    await world.fire()
    assert await world.phase(first) == Phase.READY
    await world.complete(second)
    assert await under_way(world, first) == [first]


@pytest.mark.parametrize("strategy", ["rr", "cip", "cn"])
@pytest.mark.parametrize("level", ["t", "w"])
async def test_a_replay_asks_for_all_its_permits_again(world: World, strategy: str, level: str) -> None:
    """It waits for them like any other, whatever the strategy: it was not submitted now."""
    await world.connect()
    gates = [permit(strategy=strategy, level=level)]
    (first,) = await world.submit(gates=gates, leases=1)
    await world.fail(first, "dead")
    (second,) = await world.submit(gates=gates, leases=1)
    assert await world.shard.runs.replay("default", [first], only_failed=False) == ["replayed"]
    await world.match()
    assert await under_way(world, first, second) == [second]
    await world.complete(second)
    assert await under_way(world, first) == [first]


async def test_a_child_of_a_cancelled_parent_asks_for_nothing(world: World) -> None:
    """It ends as it comes, and a replay of it passes its gates."""
    (parent,) = await world.running()
    await world.cancel(parent)
    (child,) = await world.submit(gates=[permit(strategy="cn")], parent=parent)
    assert await world.phase(child) == Phase.CANCELLED
    assert not (await world.look()).keys_of("contenders")
    await world.complete(parent)
    await world.shard.runs.replay("default", [child], only_failed=False)
    await world.match()
    assert await permits_out(world) == {"k": 1}
