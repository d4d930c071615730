"""Which worker gets a run: labels, pools and costs, over the scripts that match."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.world import flow_of
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand, Label
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World

EQUAL, NOT_EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL = range(1, 7)


def needs(name: str, value: str, comparator: int = EQUAL, weight: int = 0) -> Demand:
    """A demand of one label; required without a weight."""
    return Demand(labels=(Label(name, comparator, value, weight),))


async def _takers(world: World) -> list[str]:
    """The workers that were given something, in the order of the attempts."""
    return [worker for worker, _ in await world.delivered()]


@pytest.mark.parametrize(
    ("has", "comparator", "wanted", "holds"),
    [
        ("a100", EQUAL, "a100", True),
        ("a100", EQUAL, "h100", False),
        ("a100", NOT_EQUAL, "h100", True),
        ("a100", NOT_EQUAL, "a100", False),
        (None, EQUAL, "a100", False),
        (None, NOT_EQUAL, "a100", True),
        (None, LESS, "9", False),
        # As numbers where both are.
        ("16", GREATER, "9", True),
        ("1e3", GREATER_OR_EQUAL, "1000", True),
        ("1.0", EQUAL, "1", True),
        ("-3", LESS, "2.5", True),
        ("9", LESS_OR_EQUAL, "9", True),
        ("9", LESS, "9", False),
        # Else as text.
        ("16", GREATER, "9 GB", False),
        ("0x10", EQUAL, "16", False),
        ("nan", EQUAL, "nan", True),
        ("b", GREATER, "a", True),
        ("é", GREATER, "z", True),
    ],
)
async def test_a_required_label_decides(
    world: World, has: str | None, comparator: int, wanted: str, *, holds: bool
) -> None:
    """Only a worker where it holds gets the run."""
    await world.connect(labels={"l": has} if has is not None else {})
    await world.submit(demand=needs("l", wanted, comparator))
    assert await world.match() == holds


async def test_a_run_waits_for_a_worker_that_has_what_it_needs(world: World) -> None:
    """And blocks nothing that does not need it."""
    (picky,) = await world.submit(demand=needs("gpu", "a100"), level=4)
    (plain,) = await world.submit(level=1)
    await world.connect("w-plain")
    assert await world.match() == 1
    assert await world.phase(plain) == Phase.LEASED
    await world.connect("w-gpu", labels={"gpu": "a100"})
    assert await world.match() == 1
    assert await world.phase(picky) == Phase.LEASED


async def test_all_required_labels_have_to_hold(world: World) -> None:
    """One that holds is not enough."""
    demand = Demand(labels=(*needs("gpu", "a100").labels, *needs("memory", "64", GREATER_OR_EQUAL).labels))
    await world.submit(demand=demand)
    await world.connect("w-small", labels={"gpu": "a100", "memory": "32"})
    assert await world.match() == 0
    await world.connect("w-large", labels={"gpu": "a100", "memory": "128"})
    await world.match()
    assert await _takers(world) == ["w-large"]


async def test_a_worker_that_comes_back_with_other_labels_gets_other_runs(world: World) -> None:
    """Its group is another one."""
    await world.connect("w1", labels={"gpu": "a100"})
    await world.connect("w1", labels={"gpu": "h100"})
    await world.submit(demand=needs("gpu", "a100"))
    assert await world.match() == 0
    await world.connect("w1", labels={"gpu": "a100"})
    assert await world.match() == 1


async def test_heavier_workers_go_first_while_they_have_room(world: World) -> None:
    """Whichever group is matched; the others get what is left, and nothing waits for the best."""
    demand = Demand(labels=(*needs("gpu", "a100", weight=10).labels, *needs("near", "yes", weight=5).labels))
    await world.connect("w-none", slots=20)
    await world.connect("w-near", slots=2, labels={"near": "yes"})
    await world.connect("w-gpu", slots=2, labels={"gpu": "a100"})
    await world.connect("w-both", slots=2, labels={"gpu": "a100", "near": "yes"})
    await world.submit(10, demand=demand)
    await world.match()
    assert await _takers(world) == [*["w-both"] * 2, *["w-gpu"] * 2, *["w-near"] * 2, *["w-none"] * 4]


async def test_weights_count_where_a_submit_matches_at_once(world: World) -> None:
    """And where an end frees a slot."""
    demand = needs("gpu", "a100", weight=1)
    await world.connect("w-none", slots=5)
    await world.connect("w-gpu", slots=1, labels={"gpu": "a100"})
    (first,) = await world.submit(demand=demand, leases=1)
    await world.submit(demand=demand, leases=1)
    assert await _takers(world) == ["w-gpu", "w-none"]
    await world.complete(first)
    await world.submit(demand=demand, leases=1)
    assert await _takers(world) == ["w-gpu"]


async def test_a_soft_worker_is_preferred_and_not_waited_for(world: World) -> None:
    """Its slots first, then anybody's."""
    await world.connect("w1", slots=9)
    await world.connect("w2", slots=2)
    await world.submit(3, demand=Demand(worker="w2"))
    await world.match()
    assert await _takers(world) == ["w2", "w2", "w1"]


async def test_a_soft_worker_that_is_nobody_is_none(world: World) -> None:
    """It may have gone long ago."""
    await world.connect("w1")
    await world.submit(demand=Demand(worker="gone"))
    assert await world.match() == 1


async def test_labels_and_a_soft_worker_count_together(world: World) -> None:
    """The preferred worker gets nothing that it lacks a required label for."""
    await world.connect("w1", slots=9)
    await world.connect("w2", labels={"gpu": "a100"})
    await world.connect("w3", labels={"gpu": "a100"}, slots=20)
    demand = needs("gpu", "a100")
    await world.submit(demand=Demand(labels=demand.labels, worker="w1"))
    await world.submit(demand=Demand(labels=demand.labels, worker="w2"))
    await world.match()
    assert Counter(await _takers(world)) == {"w2": 1, "w3": 1}


async def test_an_attempt_takes_as_many_slots_as_it_costs(world: World) -> None:
    """And gives all of them back, however it ends."""
    await world.connect(slots=5)
    first, second, third = await world.submit(3, demand=Demand(cost=2))
    assert await world.match() == 2
    await world.complete(first)
    assert await world.phase(third) == Phase.LEASED
    await world.fail(second, "dead")
    await world.fail(third, "release")
    await world.submit(3)
    assert await world.match() == 4
    assert len((await world.look()).set("s:w1:default")) == 5


async def test_a_costly_run_blocks_nothing_behind_it(world: World) -> None:
    """Of a higher level and older: it waits for room, others take what there is."""
    (costly,) = await world.submit(demand=Demand(cost=3), level=4)
    plain = await world.submit(2)
    await world.connect(slots=2)
    assert await world.match() == 2
    assert await world.phases(plain) == {Phase.LEASED}
    assert await world.phase(costly) == Phase.READY


async def test_many_costly_flows_block_nothing_behind_them(world: World) -> None:
    """More of them than are looked at in one go."""
    runs = world.mint(301)
    batch = [
        Submission(run, b"spec", flow_of(f"t{place}", demand=demand), 2, "v1", more={"p": demand.entry()})
        for place, run in enumerate(runs[1:])
        for demand in [Demand(cost=2 + place)]
    ]
    await world.shard.runs.submit("default", "a1", [], batch)
    await world.submit(ids=runs[:1], task="t0")
    await world.connect(slots=1, tasks=[f"t{place}" for place in range(300)])
    assert await world.match() == 1
    assert await world.phase(runs[0]) == Phase.LEASED


async def test_small_runs_do_not_starve_a_costly_one(world: World) -> None:
    """After a while a worker is kept free for it, which gets no small ones until it has had room."""
    await world.connect("w1", slots=2)
    small = list(await world.leased(2))
    (costly,) = await world.submit(demand=Demand(cost=2))
    waiting = await world.submit(4)
    await world.complete(small[0])
    assert await world.phase(waiting[0]) == Phase.LEASED, "it is not kept at once"
    assert any(timer.startswith("room:") for timer in (await world.look()).zset("T"))
    await world.make_due("room")
    await world.fire()
    await world.complete(small[1])
    assert await world.phase(waiting[1]) == Phase.READY
    await world.complete(waiting[0])
    assert await world.phase(costly) == Phase.LEASED
    await world.complete(costly)
    await world.match()
    assert await world.phases(waiting[1:3]) == {Phase.LEASED}


async def test_no_worker_is_kept_for_what_none_can_take(world: World) -> None:
    """It waits; the others do not."""
    await world.connect(slots=2)
    (costly,) = await world.submit(demand=Demand(cost=3))
    first, *rest = await world.submit(4)
    await world.match()
    await world.make_due("room")
    await world.fire()
    await world.complete(first)
    assert await world.phase(rest[1]) == Phase.LEASED
    await world.connect("w-large", slots=3)
    await world.match()
    assert await world.phase(costly) in {Phase.LEASED, Phase.READY}


@pytest.mark.parametrize("how", ["cancel", "leave", "hello", "lost"])
async def test_keeping_a_worker_ends_with_its_reason(world: World, how: str) -> None:
    """The run is cancelled, or the worker goes: nobody waits for the slots that were kept."""
    await world.connect("w1", slots=2)
    first, second = await world.leased(2)
    (costly,) = await world.submit(demand=Demand(cost=2))
    (waiting,) = await world.submit()
    await world.complete(first)
    await world.complete(waiting)
    await world.submit(3)
    await world.match()
    await world.make_due("room")
    await world.fire()
    if how == "cancel":
        await world.cancel(costly)
    elif how == "leave":
        await world.leave("w1")
    elif how == "hello":
        await world.connect("w1", slots=1, held=[await world.lease(second)])
    else:
        await world.expire_session("w1")
        await world.reap()
    await world.make_due("room")
    await world.fire()
    s = await world.look()
    assert not any("rs" in s.hash(key) for key in s.keys_of("worker"))
    assert not any("rs" in s.hash(key) for key in s.keys_of("group"))


async def test_pools_are_counted_apart(world: World) -> None:
    """What fills one leaves room in the other."""
    await world.connect("w1", slots=2, pools={"gpu": 3})
    await world.submit(5, demand=Demand(pool="gpu"))
    await world.submit(5)
    assert await world.match() == 5
    s = await world.look()
    assert (len(s.set("s:w1:gpu")), len(s.set("s:w1:default"))) == (3, 2)


async def test_a_worker_without_the_pool_gets_nothing_of_it(world: World) -> None:
    """Until it comes back with it."""
    await world.submit(3, demand=Demand(pool="gpu", cost=2))
    await world.connect("w1")
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 5})
    assert await world.match() == 2
    held = list((await world.look()).hash("att:w1"))
    await world.connect("w1", held=held)
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 5}, held=held)
    assert await world.match() == 0
    await world.connect("w1", pools={"gpu": 6}, held=held)
    assert await world.match() == 1


async def test_what_a_lost_worker_held_in_all_its_pools_comes_back(world: World) -> None:
    """And nothing is left of it."""
    await world.connect("w1", slots=2, pools={"gpu": 4})
    runs = [*await world.submit(2, demand=Demand(pool="gpu", cost=2)), *await world.submit(2)]
    await world.match()
    await world.expire_session("w1")
    assert await world.reap() == 4
    assert await world.phases(runs) == {Phase.READY}
    await world.connect("w2", slots=2, pools={"gpu": 4})
    assert await world.match() == 4


async def test_a_demand_goes_with_the_last_run_of_its_flow(world: World) -> None:
    """And comes again with the next."""
    await world.connect(labels={"gpu": "a100"})
    (run,) = await world.submit(demand=needs("gpu", "a100"))
    await world.match()
    assert "demand" in (await world.look()).families
    await world.complete(run)
    await world.shard.runs.expire(-1, 10)
    assert "demand" not in (await world.look()).families
    await world.submit(demand=needs("gpu", "a100"))
    assert await world.match() == 1


# --- One worker and no other

_HARD = Demand(worker="w1", hard=True)


async def test_a_run_bound_to_a_worker_waits_for_it(world: World) -> None:
    """However free the others are."""
    await world.connect("w1", slots=1)
    await world.connect("w2", slots=9)
    first, second = await world.submit(2, demand=_HARD)
    await world.submit()
    assert await world.match() == 2
    assert await _takers(world) in (["w1", "w2"], ["w2", "w1"])
    await world.complete(first)
    assert await world.phase(second) == Phase.LEASED
    assert await _takers(world) == ["w1"]


async def test_bound_runs_and_others_share_the_slots_of_the_worker(world: World) -> None:
    """Its own group shows no more than there is."""
    await world.connect("w1", slots=3)
    await world.submit(2, demand=_HARD)
    await world.submit(5)
    assert await world.match() == 3
    assert len((await world.look()).set("s:w1:default")) == 3


@pytest.mark.parametrize("pool", ["default", "gpu"])
async def test_a_run_for_a_worker_that_is_not_there_is_refused(world: World, pool: str) -> None:
    """And nothing of it is stored; one that is there already is told as such."""
    await world.connect("w2")
    demand = Demand(worker="w1", hard=True, pool=pool)
    refused = Submission(world.mint()[0], b"spec", flow_of(demand=demand), 2, "v1", more={"p": demand.entry()})
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "no_worker"}
    s = await world.look()
    assert not s.keys_of("run")
    assert not s.keys_of("flows")
    await world.connect("w1")
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {}
    await world.expire_session("w1")
    await world.reap()
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "duplicate"}


async def test_a_worker_of_another_namespace_is_not_there(world: World) -> None:
    """Ids are not told across namespaces."""
    await world.connect("w1", namespace="theirs")
    refused = Submission(world.mint()[0], b"spec", flow_of(demand=_HARD), 2, "v1", more={"p": _HARD.entry()})
    assert (await world.shard.runs.submit("default", "a1", [], [refused]))[1] == {0: "no_worker"}


async def test_bound_runs_fail_once_the_worker_is_gone_for_good(world: World) -> None:
    """Those that wait, those that it held, and those that become ready later; each tells why."""
    await world.connect("w1", slots=1)
    (held,) = await world.running(demand=_HARD, api="a1")
    waiting = await world.submit(120, demand=_HARD, level=3)
    (later,) = await world.submit(demand=_HARD, delay_ms=60_000)
    (other,) = await world.submit()
    await world.leave("w1")
    assert await world.match() == 0
    assert await world.phases(waiting) == {Phase.READY}, "it may come back"
    await world.expire_session("w1")
    await world.reap()
    await world.match()
    assert await world.phases([held, *waiting]) == {Phase.FAILED}
    assert await world.phases([later]) == {Phase.SCHEDULED}
    await world.make_due("ready")
    await world.fire()
    await world.match()
    assert await world.phase(later) == Phase.FAILED
    assert await world.phase(other) == Phase.READY
    (failure,) = await world.shard.runs.failures(later)
    assert (failure.worker_id, failure.body) == ("w1", b"gone")


async def test_nothing_is_left_of_a_worker_that_runs_were_bound_to(world: World) -> None:
    """Its own group goes with the last such run."""
    await world.connect("w1", pools={"gpu": 1})
    runs = [
        *await world.submit(2, demand=_HARD),
        *await world.submit(demand=Demand(worker="w1", hard=True, pool="gpu")),
    ]
    await world.match()
    await world.leave("w1", "draining")
    await world.complete(*runs)
    await world.leave("w1")
    assert (await world.look()).keys_of("group")
    await world.shard.runs.expire(-1, 10)
    assert not (await world.look()).keys_of("group")


async def test_a_worker_that_comes_back_after_it_was_given_up_gets_its_runs_again(world: World) -> None:
    """What had failed meanwhile has."""
    await world.connect("w1")
    (first,) = await world.submit(demand=_HARD, delay_ms=60_000)
    await world.expire_session("w1")
    await world.reap()
    await world.connect("w1")
    (second,) = await world.submit(demand=_HARD)
    await world.make_due("ready")
    await world.fire()
    assert await world.match() == 2
    assert await world.phases([first, second]) == {Phase.LEASED}


async def test_a_worker_that_comes_back_without_a_pool_is_waited_for_anew(world: World) -> None:
    """What was bound to it there has failed; what comes now waits for the pool."""
    demand = Demand(worker="w1", hard=True, pool="gpu")
    await world.connect("w1", pools={"gpu": 1})
    (before,) = await world.submit(demand=demand)
    await world.expire_session("w1")
    await world.reap()
    await world.connect("w1")
    await world.match()
    (after,) = await world.submit(demand=demand)
    await world.match()
    assert [await world.phase(before), await world.phase(after)] == [Phase.FAILED, Phase.READY]
    await world.connect("w1", pools={"gpu": 1})
    await world.match()
    assert await world.phase(after) == Phase.LEASED


async def test_a_bound_run_waits_until_its_worker_can_take_it(world: World) -> None:
    """Comes back with the task, the label, the pool."""
    await world.connect("w1", tasks=["other"])
    demand = Demand(worker="w1", hard=True, pool="gpu", labels=needs("l", "1").labels)
    (run,) = await world.submit(demand=demand)
    assert await world.match() == 0
    await world.connect("w1", labels={"l": "1"})
    assert await world.match() == 0
    await world.connect("w1", labels={"l": "1"}, pools={"gpu": 1})
    assert await world.match() == 1
    assert await world.phase(run) == Phase.LEASED


async def test_costly_bound_runs_are_kept_room_for(world: World) -> None:
    """The small ones of the worker's other group would starve them."""
    await world.connect("w1", slots=2)
    small = await world.submit(5)
    await world.match()
    (costly,) = await world.submit(demand=Demand(worker="w1", hard=True, cost=2))
    await world.complete(small[0])
    await world.make_due("room")
    await world.fire()
    await world.complete(small[1])
    await world.complete(small[2])
    await world.match()
    assert await world.phase(costly) == Phase.LEASED
    await world.complete(costly)
    await world.match()
    assert await world.phases(small[3:]) == {Phase.LEASED}
