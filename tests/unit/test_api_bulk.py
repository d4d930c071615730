"""Acting on many runs: by ids, or by a filter in pages, over a real store."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE
from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.bulk import ENDED, LIVE, Acted, act_on
from windlass_core.domain.errors import InvalidField, StoreUnavailable
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World

_QUEUED = run_service_pb2.RunFilter(statuses=[run_pb2.RUN_STATUS_QUEUED])


async def _cancel(world: World, **request: Any) -> Acted:
    asked = run_service_pb2.CancelRunsRequest(**request)
    return await act_on(asked, partial(world.shard.runs.cancel, NAMESPACE, "stop"), world.shard.runs, NAMESPACE, LIVE)


async def _replay(world: World, *, dead_letter: bool = False, **request: Any) -> Acted:
    asked = run_service_pb2.ReplayRunsRequest(**request)
    act = partial(world.shard.runs.replay, NAMESPACE, only_failed=dead_letter)
    return await act_on(asked, act, world.shard.runs, NAMESPACE, ENDED, dead_letter=dead_letter)


async def test_ids_have_an_outcome_each(world: World) -> None:
    """In their order, and no counts."""
    (first,) = await world.submit()
    (never,) = world.mint()
    acted = await _cancel(world, run_ids=[never, first, first])
    assert acted == Acted(outcomes=["unknown", "cancelled", "ended"])


async def test_a_filter_reaches_all_that_it_means(world: World) -> None:
    """What waits and what runs; nothing that has ended, and nobody else's."""
    await world.connect(slots=2)
    held = list(await world.running(2))
    waits = await world.submit(3)
    others = await world.submit(2, task="other")
    acted = await _cancel(world, filter=run_service_pb2.RunFilter(workflow_names=["t"]))
    assert (acted.counts, acted.outcomes, acted.next_page_token) == (Counter(cancelled=3, requested=2), [], "")
    assert await world.phases(waits) == {Phase.CANCELLED}
    assert (await world.phases(held), await world.phases(others)) == ({Phase.RUNNING}, {Phase.READY})
    await world.complete(*held)
    assert (await _cancel(world, filter=run_service_pb2.RunFilter(workflow_names=["t"]))).counts == {}


async def test_one_call_does_no_more_than_it_should(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token goes on where it stopped; what comes meanwhile is not meant."""
    monkeypatch.setattr("windlass_api.bulk.MAX_ITEMS_PER_MESSAGE", 200)
    await world.submit(450)
    acted, counts = await _cancel(world, filter=_QUEUED), []
    (later,) = await world.submit()
    while acted.next_page_token:
        counts.append(acted.counts["cancelled"])
        token = acted.next_page_token
        acted = await _cancel(world, filter=_QUEUED, page_token=token)
    assert [*counts, acted.counts["cancelled"]] == [200, 200, 50]
    assert await world.phase(later) == Phase.READY


async def test_a_long_search_ends_early(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token, and maybe nothing done."""
    monkeypatch.setattr("windlass_api.listing._SCANNED_PER_CALL", 100)
    (wanted,) = await world.submit(task="wanted")
    await world.submit(150)
    asked = run_service_pb2.RunFilter(workflow_names=["wanted"])
    acted = await _cancel(world, filter=asked)
    assert (acted.counts, bool(acted.next_page_token)) == ({}, True)
    acted = await _cancel(world, filter=asked, page_token=acted.next_page_token)
    assert acted.counts == {"cancelled": 1}
    assert await world.phase(wanted) == Phase.CANCELLED


async def test_a_replay_of_the_dead_letter_takes_each_run_once(world: World) -> None:
    """Though they leave the list as it is walked; what ended otherwise is left."""
    (done,) = await world.running()
    await world.complete(done)
    failed = list(await world.running(10))
    for run in failed:
        await world.fail(run, "dead")
    acted = await _replay(world, dead_letter=True, filter=run_service_pb2.RunFilter(), all=True)
    assert acted.counts == {"replayed": 10}
    assert await world.phases(failed) == {Phase.READY}
    assert await world.phase(done) == Phase.COMPLETED
    assert (await _replay(world, filter=run_service_pb2.RunFilter(), all=True)).counts == {"replayed": 1}


async def test_what_was_done_is_told_where_the_store_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token names what was not; where nothing was done that is said by the error."""
    await world.submit(250)
    calls = 0
    cancel = world.shard.runs.cancel

    async def failing(namespace: str, reason: str, run_ids: list[str]) -> list[str]:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise StoreUnavailable("away")
        return await cancel(namespace, reason, run_ids)

    monkeypatch.setattr(world.shard.runs, "cancel", failing)
    acted = await _cancel(world, filter=_QUEUED)
    assert (acted.counts, bool(acted.next_page_token)) == ({"cancelled": 200}, True)
    again = {"filter": _QUEUED, "page_token": acted.next_page_token}
    with pytest.raises(StoreUnavailable):
        await _cancel(world, **again)
    monkeypatch.undo()
    assert (await _cancel(world, **again)).counts == {"cancelled": 50}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "run_ids"),
        ({"run_ids": ["0"] * 1001}, "run_ids"),
        ({"run_ids": ["x"]}, "run_ids[0]"),
        ({"run_ids": ["x"], "filter": run_service_pb2.RunFilter()}, "filter"),
        ({"filter": run_service_pb2.RunFilter()}, "filter"),
        ({"filter": run_service_pb2.RunFilter(), "all": True, "page_token": "x"}, "page_token"),
    ],
)
async def test_what_is_not_meant_is_refused(world: World, request_: dict[str, Any], field: str) -> None:
    """A filter without a condition above all: it would reach everything."""
    (run,) = await world.submit()
    with pytest.raises(InvalidField) as raised:
        await _cancel(world, **request_)
    assert raised.value.field == field
    assert await world.phase(run) == Phase.READY
