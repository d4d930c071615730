"""Which worker gets a run: by the labels that it needs, or the worker that it prefers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.takers import EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL, NOT_EQUAL, needs, takers
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand

if TYPE_CHECKING:
    from tests.support.world import World


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
    assert await takers(world) == ["w-large"]


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
    assert await takers(world) == [*["w-both"] * 2, *["w-gpu"] * 2, *["w-near"] * 2, *["w-none"] * 4]


async def test_weights_count_where_a_submit_matches_at_once(world: World) -> None:
    """And where an end frees a slot."""
    demand = needs("gpu", "a100", weight=1)
    await world.connect("w-none", slots=5)
    await world.connect("w-gpu", slots=1, labels={"gpu": "a100"})
    (first,) = await world.submit(demand=demand, leases=1)
    await world.submit(demand=demand, leases=1)
    assert await takers(world) == ["w-gpu", "w-none"]
    await world.complete(first)
    await world.submit(demand=demand, leases=1)
    assert await takers(world) == ["w-gpu"]


async def test_a_soft_worker_is_preferred_and_not_waited_for(world: World) -> None:
    """Its slots first, then anybody's."""
    await world.connect("w1", slots=9)
    await world.connect("w2", slots=2)
    await world.submit(3, demand=Demand(worker="w2"))
    await world.match()
    assert await takers(world) == ["w2", "w2", "w1"]


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
    assert Counter(await takers(world)) == {"w2": 1, "w3": 1}


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
