"""Concurrency keys: who holds permits, who waits, and who is cancelled for whom."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.world import World, permit
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard

_HELD = {Phase.LEASED, Phase.RUNNING}


async def _holders(world: World) -> Counter[str]:
    """Value of a key → permits out."""
    s = await world.look()
    return Counter({key.rpartition("|")[2]: len(s.zset(name)) for name, (key,) in s.keys_of("permits").items()})


async def _held(world: World, *runs: str) -> list[str]:
    """Those of the runs that a worker has."""
    phases = (await world.look()).phases()
    return [run for run in runs if phases[run] in _HELD]


async def test_no_more_run_at_a_time_than_a_key_has_permits(world: World) -> None:
    """Though there are slots; the next ones come as permits come back, first come first served."""
    await world.connect(slots=50)
    runs = await world.submit(6, gates=[permit(most=2)])
    assert await world.match() == 2
    for first in (0, 2, 4):
        assert await _held(world, *runs) == runs[first : first + 2]
        await world.complete(*runs[first : first + 2])
    assert await world.phases(runs) == {Phase.COMPLETED}
    assert not (await world.look()).keys_of("permits")


async def test_a_small_submit_passes_gates_at_once(world: World) -> None:
    """As a plain one is matched with free slots in the call that stores it."""
    await world.connect()
    runs = await world.submit(3, gates=[permit(most=2)], leases=3)
    assert await _held(world, *runs) == runs[:2]


async def test_a_run_with_gates_is_read_like_any_other(world: World) -> None:
    """Its priority level too, before and after its start."""
    await world.connect()
    runs = await world.submit(2, gates=[permit(level="w")], level=3, leases=2)
    assert [run and run.level for run in await world.shard.runs.get("default", runs)] == [3, 3]


async def test_keys_do_not_hold_each_other_up(world: World) -> None:
    """Each value has permits of its own, and what has no gates needs none."""
    await world.connect(slots=50)
    for value in "abc":
        await world.submit(5, gates=[permit(value)])
    plain = await world.submit(5)
    await world.match()
    assert await _holders(world) == {"a": 1, "b": 1, "c": 1}
    assert await _held(world, *plain) == plain


async def test_all_permits_or_none(world: World) -> None:
    """What waits for one key holds no permit of another."""
    await world.connect(slots=50)
    both = [permit("a"), permit("b", level="w")]
    (first,) = await world.submit(gates=[permit("b", level="w")], leases=1)
    (second,) = await world.submit(gates=both, leases=1)
    assert await _holders(world) == {"b": 1}
    (third,) = await world.submit(gates=[permit("a")], leases=1)
    assert await _held(world, first, second, third) == [first, third]
    await world.complete(first)
    assert await _held(world, second) == []
    await world.complete(third)
    assert await _held(world, second) == [second]


async def test_a_permit_goes_on_to_the_next_that_can_use_it(world: World) -> None:
    """A lane that comes back and parks at another gate wakes the next one at the first."""
    await world.connect(slots=50)
    (holds_a,) = await world.submit(gates=[permit("a")], leases=1)
    (holds_b,) = await world.submit(gates=[permit("b", level="w")], leases=1)
    (needs_both,) = await world.submit(gates=[permit("a"), permit("b", level="w")], leases=1)
    (needs_a,) = await world.submit(gates=[permit("a")], leases=1)
    await world.complete(holds_a)
    assert await _held(world, needs_both, needs_a) == [needs_a]
    await world.complete(holds_b, needs_a)
    assert await _held(world, needs_both) == [needs_both]


async def test_a_permit_goes_on_when_the_lane_that_came_back_goes(world: World) -> None:
    """The run that was next is cancelled before anybody matches it."""
    await world.connect()
    (holder,) = await world.submit(gates=[permit(level="w")], leases=1)
    await world.fail(holder, delay_ms=9_000)
    (next_one,) = await world.submit(gates=[permit(level="w"), permit("b")], leases=1)
    (after_it,) = await world.submit(gates=[permit(level="w")], leases=1)
    await world.cancel(holder)
    assert len((await world.look()).zset("gw:c:default|t|w0|k")) == 1
    await world.cancel(next_one)
    await world.match()
    assert await _held(world, after_it) == [after_it]


async def test_a_free_worker_is_not_kept_waiting_by_lanes_that_nobody_serves(world: World) -> None:
    """Twenty queues without workers wait at the key before one that has some."""
    await world.connect(slots=1, queues=["q"])
    await world.connect("w2", slots=50, queues=[f"q{place}" for place in range(20)])
    (holder,) = await world.submit(queue="q", gates=[permit()], leases=1)
    for place in range(20):
        await world.submit(queue=f"q{place}", gates=[permit()], leases=1)
    await world.connect("w3", slots=1, queues=["q"])
    (last,) = await world.submit(queue="q", gates=[permit()], leases=1)
    await world.expire_session("w2")
    await world.reap()
    assert len((await world.look()).zset("gw:c:default|t|t0|k")) == 21
    await world.complete(holder)
    await world.fire()
    await world.match()
    assert await _held(world, last) == [last]


@pytest.mark.parametrize(("level", "kept"), [("t", 0), ("w", 1)])
async def test_a_backoff_keeps_a_runs_permit_and_not_an_attempts(world: World, level: str, kept: int) -> None:
    """Another run may go meanwhile, or may not."""
    await world.connect()
    first, second = await world.submit(2, gates=[permit(level=level)], leases=2)
    await world.fail(first, delay_ms=9_000)
    assert await _holders(world) == ({"k": 1} if kept else {})
    await world.match()
    assert await _held(world, second) == [second][kept:]
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await _held(world, first, second) == [[second], [first]][kept]
    assert await _holders(world) == {"k": 1}
    await world.complete(*await _held(world, first, second))
    await world.match()
    await world.complete(*await _held(world, first, second))
    assert await world.phases([first, second]) == {Phase.COMPLETED}


@pytest.mark.parametrize("verdict", ["retry", "release", "crash", "among"])
@pytest.mark.parametrize("level", ["t", "w"])
async def test_a_retry_at_once_never_takes_a_permit_twice(world: World, verdict: str, level: str) -> None:
    """However its attempt ended."""
    await world.connect()
    first, second = await world.submit(
        2, gates=[permit(level=level), permit("other", 5, level=level, place=1)], leases=2
    )
    await world.fail(first, verdict)
    await world.match()
    assert await _holders(world) == {"k": 1, "other": 1}
    # Ready since now, it stands behind the other.
    waits = verdict == "retry" and level == "t"
    assert await _held(world, first, second) == [second if waits else first]


@pytest.mark.parametrize("level", ["t", "w"])
async def test_permits_of_a_lost_worker_come_back(world: World, level: str) -> None:
    """With its attempts: the run goes on, under the one permit."""
    await world.connect("w1", slots=5)
    runs = await world.submit(3, gates=[permit(level=level)])
    await world.match()
    await world.shard.runs.accept([(runs[0], await world.lease(runs[0]))])
    await world.expire_session("w1")
    await world.reap()
    assert await _holders(world) == ({"k": 1} if level == "w" else {})
    await world.connect("w2", slots=5)
    await world.match()
    assert await _held(world, *runs) == [runs[0]]
    assert await _holders(world) == {"k": 1}


@pytest.mark.parametrize("level", ["t", "w"])
async def test_every_end_gives_permits_back(world: World, level: str) -> None:
    """Completed, failed for good, cancelled at work, cancelled while it waits for its retry, start missed."""
    await world.connect(slots=9)
    gates = [permit(level=level)]
    completed, failed, stopped, waiting, missed = (*await world.submit(4, gates=gates), "")
    (missed,) = await world.submit(gates=gates, expires_ms=1_000)
    (last,) = await world.submit(gates=gates)
    await world.match()
    await world.complete(completed)
    await world.fail(failed, "dead")
    await world.match()
    await world.cancel(stopped)
    await world.complete(stopped)
    assert await world.phase(stopped) == Phase.CANCELLED
    await world.fail(waiting, delay_ms=9_000)
    await world.cancel(waiting)
    if level == "w":
        await world.make_due("start")
        await world.fire()
    await world.match()
    if level == "t":
        await world.complete(missed)
    assert await _held(world, last) == [last]
    await world.complete(last)
    assert not (await world.look()).keys_of("permits")


async def test_a_lane_with_one_long_key_leaves_room_for_all_others(shard: Shard) -> None:
    """Ten keys, one with 10,000 runs: each of the others gets its share at once."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    for _ in range(10):
        await world.submit(1_000, gates=[permit("flood", 100)])
    for place in range(9):
        await world.submit(20, gates=[permit(f"key {place}", 100)])
    await world.connect(slots=100)
    assert await world.match() == 100
    taken = await _holders(world)
    assert len(taken) == 10
    assert max(taken.values()) - min(taken.values()) <= 1


async def test_keys_take_turns_while_they_run(shard: Shard) -> None:
    """Every slot that comes back goes to the key whose turn it is, not to the longest queue."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    await world.connect(slots=4)
    runs = await world.submit(200, gates=[permit("flood", 10)])
    runs += await world.submit(6, gates=[permit("small", 10)])
    await world.match()
    order = []
    for _ in range(5):
        held = await _held(world, *runs)
        order += held
        await world.complete(*held)
    assert set(runs[200:]) <= set(order[:13])


async def test_where_no_other_key_waits_a_batch_is_claimed(shard: Shard) -> None:
    """Turns are for others: one key alone needs no more visits than a plain lane."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 600_000)
    await world.connect(slots=64)
    await world.submit(64, gates=[permit(most=64)])
    claims = "g:" + (await world.look()).hash("w:w1")["group"].decode()
    await world.match()
    assert int((await world.look()).hash(claims)["n"]) == 4


# --- The limit of a newer definition


async def test_the_newest_run_says_how_many_may_be_under_way(world: World) -> None:
    """A lower limit holds for what is queued under the higher one too."""
    await world.connect(slots=9)
    old = await world.submit(5, gates=[permit(most=3)])
    await world.match()
    new = await world.submit(2, gates=[permit(most=2)], leases=2)
    await world.complete(old[0])
    assert await _holders(world) == {"k": 2}
    await world.complete(old[1])
    assert await _holders(world) == {"k": 2}
    for _ in range(5):
        await world.complete(*await _held(world, *old, *new))
        assert (await _holders(world))["k"] <= 2
    assert await world.phases([*old, *new]) == {Phase.COMPLETED}


async def test_a_higher_limit_lets_older_runs_in(world: World) -> None:
    """As soon as a run of the newer definition has come to the key."""
    await world.connect(slots=9)
    old = await world.submit(5, gates=[permit(most=1)])
    await world.match()
    new = await world.submit(1, gates=[permit(most=4)], leases=1)
    await world.match()
    assert len(await _held(world, *old, *new)) == 4


# --- CANCEL_IN_PROGRESS


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
    assert await _held(world, new) == [new]


async def test_what_waits_is_cancelled_for_a_newer_one_too(world: World) -> None:
    """The newest gets in, whatever came between."""
    await world.connect()
    gates = [permit(strategy="cip")]
    (old,) = await world.submit(gates=gates, leases=1)
    (between,) = await world.submit(gates=gates, leases=1)
    (newest,) = await world.submit(gates=gates, leases=1)
    assert await world.phase(between) == Phase.CANCELLED
    await world.complete(old)
    assert await _held(world, newest) == [newest]


async def test_as_many_of_the_newest_stay_as_may_be(world: World) -> None:
    """Of one batch as of many submits."""
    await world.connect()
    runs = await world.submit(7, gates=[permit(most=3, strategy="cip")], leases=7)
    assert await _held(world, *runs) == runs[4:]
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
    assert await _held(world, delayed) == [delayed]


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
    assert await _held(world, first, second) == [first, second]
    assert await world.field(second, "cx") is None


async def test_very_many_are_cancelled_in_pages(world: World) -> None:
    """1,000 runs of one batch, one of which may stay: 200 per call."""
    (*old, new) = await world.submit(1_000, gates=[permit(strategy="cip")])
    phases = (await world.look()).phases()
    assert Counter(phases.values()) == {Phase.CANCELLED: 200, Phase.READY: 800}
    assert await world.fire() == 4
    assert await world.phases(old) == {Phase.CANCELLED}
    assert await world.phase(new) == Phase.READY


# --- CANCEL_NEWEST


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
    assert await _held(world, newest) == [newest]


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
    assert await _held(world, first) == [first]
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
    assert await _held(world, first) == [first]


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
    assert await _held(world, first, second) == [second]
    await world.complete(second)
    assert await _held(world, first) == [first]


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
    assert await _holders(world) == {"k": 1}


async def test_nothing_is_left_of_keys_that_nobody_uses(world: World) -> None:
    """Permits, contenders, parked lanes; only the limits of the definitions stay."""
    await world.connect(slots=50)
    for strategy in ("rr", "cip", "cn"):
        for level in ("t", "w"):
            gates = [permit(strategy, 2, strategy, level)]
            runs = await world.submit(5, gates=gates, expires_ms=60_000)
            await world.match()
            await world.fail((await _held(world, *runs))[0], delay_ms=9_000)
    left = await world.drain_away()
    gates_of = {"permits", "contenders", "parked", "flow_lanes", "lane_meta", "ring", "timers"}
    assert not gates_of & set(left.families)
    assert "max_runs" in left.families
