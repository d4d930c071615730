"""What a worker says of itself for placement: labels, and slots of several pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@optional_case("labels")
async def hello_has_the_labels(rig: Rig) -> None:
    """Each Hello has the worker's labels, as texts."""
    link = await rig.connect(CONFORMANCE_LABELS="region=eu,memory=128")
    expected = {"region": "eu", "memory": "128"}
    for each in (link, await rig.cut(link)):
        labels = dict(each.hello.labels)
        assert labels == expected, f"labels: expected those of CONFORMANCE_LABELS, got {labels}"


@optional_case("labels")
async def labels_change_while_it_runs(rig: Rig) -> None:
    """A label that a task sets is told at once, with those that stay; every later Hello has all of them."""
    link = await rig.connect(CONFORMANCE_LABELS="region=eu,model=none")
    attempt = work.label("model", "large")
    link.assign(attempt)
    work.expect_output(await link.outcome(attempt), {})
    await rig.until(lambda: link.labels, f"Labels (heard: {link})")
    expected = {"region": "eu", "model": "large"}
    told = dict(link.labels[-1].labels)
    assert told == expected, f"labels: expected all that the worker has, got {told}"
    labels = dict((await rig.cut(link)).hello.labels)
    assert labels == expected, f"labels: expected the new ones in the next Hello, got {labels}"


@optional_case("slot-pools")
async def slots_of_all_pools_are_room(rig: Rig) -> None:
    """Hello has the pools beside the slots, and as many attempts execute as there are slots in all."""
    link = await rig.connect(slots=1, CONFORMANCE_POOLS="gpu=2,io=1")
    pools = dict(link.hello.slot_pools)
    assert pools == {"gpu": 2, "io": 1}, f"slot_pools: expected those of CONFORMANCE_POOLS, got {pools}"
    assert link.hello.slots == 1, f"slots: expected the 1 of CONFORMANCE_SLOTS, got {link.hello.slots}"
    link.assign(*(work.hold() for _ in range(3)))
    await rig.execute_for(link, 1)
