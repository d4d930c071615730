"""How runs are filtered and paged, over a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE
from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.listing import list_runs
from windlass_api.paging import page_size
from windlass_core.domain.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.world import World


async def _list(world: World, **request: Any) -> run_service_pb2.ListRunsResponse:
    paging = {name: request.pop(name) for name in ("page_size", "page_token", "dead_letter") if name in request}
    asked = run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(**request), **paging)
    return await list_runs(world.shard.runs, NAMESPACE, asked)


async def _ids(world: World, **request: Any) -> list[str]:
    return [run.run_id for run in (await _list(world, **request)).runs]


async def _accepted_at(world: World, runs: Sequence[str], ms: Sequence[int]) -> None:
    key = world.shard.keys.of("runs_by_time", ns=NAMESPACE)
    await world.shard.redis.zadd(key, dict(zip(runs, ms, strict=True)))


def _spec(**fields: Any) -> bytes:
    return run_pb2.RunSpec(**{"workflow_name": "t", **fields}).SerializeToString()


async def test_runs_are_listed_newest_first(world: World) -> None:
    """50 unless more are asked for."""
    runs = await world.submit(60, spec=_spec())
    await _accepted_at(world, runs, range(1000, 1060))
    assert await _ids(world) == runs[:9:-1]
    assert await _ids(world, page_size=3) == runs[:-4:-1]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_pages_miss_nothing_and_repeat_nothing(world: World, size: int) -> None:
    """However many runs share a millisecond."""
    runs = await world.submit(30, spec=_spec())
    await _accepted_at(world, runs, [1000 + i // 10 for i in range(30)])
    listed: list[str] = []
    page = await _list(world, page_size=size)
    while True:
        listed += [run.run_id for run in page.runs]
        if not page.next_page_token:
            break
        page = await _list(world, page_size=size, page_token=page.next_page_token)
    assert listed == runs[::-1]


async def test_runs_that_come_meanwhile_disturb_no_page(world: World) -> None:
    """A token says where the last page ended, and not how long it was."""
    runs = await world.submit(4, spec=_spec())
    await _accepted_at(world, runs, [1, 2, 3, 4])
    page = await _list(world, page_size=2)
    newer = await world.submit(3, spec=_spec())
    assert await _ids(world, page_size=9, page_token=page.next_page_token) == [runs[1], runs[0]]
    assert set(await _ids(world, page_size=3)) == set(newer)


async def test_a_span_of_time_begins_with_its_first_and_ends_before_its_last_millisecond(world: World) -> None:
    """From since, up to until."""
    runs = await world.submit(5, spec=_spec())
    await _accepted_at(world, runs, [1, 2, 3, 4, 5])
    assert await _ids(world, since_ms=2, until_ms=4) == [runs[2], runs[1]]
    assert await _ids(world, since_ms=4) == [runs[4], runs[3]]
    assert await _ids(world, until_ms=2) == [runs[0]]


async def test_filters_leave_only_what_has_it_all(world: World) -> None:
    """Statuses and workflows: any of them; metadata: all of it."""
    (first,) = await world.running(spec=_spec(metadata_json=b'{"a":"x","n":1,"deep":{"b":["\\u00f6", 2]}}'))
    (second,) = await world.submit(
        task="other", queue="rare", spec=_spec(workflow_name="other", metadata_json=b'{"a":"y"}')
    )
    (third,) = await world.submit(spec=_spec())
    await world.cancel(third)
    running, cancelled = run_pb2.RUN_STATUS_RUNNING, run_pb2.RUN_STATUS_CANCELLED
    assert await _ids(world, statuses=[running]) == [first]
    assert set(await _ids(world, statuses=[running, cancelled])) == {first, third}
    assert await _ids(world, workflow_names=["other"]) == [second]
    assert await _ids(world, workflow_names=["other"], statuses=[running]) == []
    assert await _ids(world, queues=["rare"]) == [second]
    assert set(await _ids(world, queues=["default"])) == {first, third}
    assert await _ids(world, metadata={"a": "x", "n": "1"}) == [first]
    assert await _ids(world, metadata={"deep": '{"b":["ö",2]}'}) == [first]
    assert await _ids(world, metadata={"a": "x", "missing": ""}) == []


async def test_a_long_search_gives_a_token_before_it_has_found_anything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call looks at so many runs at the most."""
    monkeypatch.setattr("windlass_api.listing._SCANNED_PER_CALL", 20)
    monkeypatch.setattr("windlass_api.listing._CHUNK", 10)
    (wanted,) = await world.submit(task="wanted", spec=_spec(workflow_name="wanted"))
    await _accepted_at(world, [wanted], [1])
    await world.submit(50, spec=_spec())
    page, calls = await _list(world, workflow_names=["wanted"]), 1
    while not page.runs:
        assert page.next_page_token
        page = await _list(world, workflow_names=["wanted"], page_token=page.next_page_token)
        calls += 1
    assert ([run.run_id for run in page.runs], calls) == ([wanted], 3)


@pytest.mark.parametrize("token", ["x", ":", "1:", ":a", "-1:a", "1"])
async def test_a_token_that_was_not_given_is_refused(world: World, token: str) -> None:
    """It is never read as something else."""
    with pytest.raises(InvalidField, match="next_page_token") as raised:
        await _list(world, page_token=token)
    assert raised.value.field == "page_token"


def test_a_page_has_a_thousand_at_the_most() -> None:
    """More is refused, and nothing is the default."""
    assert (page_size(0, 50), page_size(7, 50), page_size(1000, 50)) == (50, 7, 1000)
    with pytest.raises(InvalidField):
        page_size(1001, 50)


async def test_an_empty_namespace_has_an_empty_page(world: World) -> None:
    """And no other."""
    page = await _list(world)
    assert (len(page.runs), page.next_page_token) == (0, "")


@pytest.mark.parametrize("token", ["\u00b2:x", "9" * 5000 + ":x", "1:", ":x", "-1:x"])
async def test_a_page_token_that_was_never_given_is_refused(world: World, token: str) -> None:
    """Also one that only looks like a number."""
    with pytest.raises(InvalidField, match="page_token"):
        await _list(world, page_token=token)


@pytest.mark.parametrize(
    ("name", "many"),
    [
        ("statuses", [1] * 1001),
        ("workflow_names", ["a"] * 1001),
        ("queues", ["a"] * 1001),
        ("error_types", ["a"] * 1001),
        ("metadata", {str(number): "x" for number in range(1001)}),
    ],
)
async def test_filters_have_a_limit(world: World, name: str, many: Any) -> None:
    """Each run is held against all of them."""
    with pytest.raises(InvalidField, match=rf"^filter\.{name}: expected at most 1000"):
        await _list(world, **{name: many})


async def _failed(world: World, count: int, **failure: Any) -> list[str]:
    """Runs that have failed, in the order of their ends."""
    runs = list(await world.running(count, spec=_spec()))
    for run in runs:
        await world.fail(run, "dead", failure=run_pb2.Failure(**failure).SerializeToString())
    return runs


async def test_the_dead_letter_has_what_failed_by_when_it_did(world: World) -> None:
    """Newest failure first, whenever it was submitted; in pages."""
    runs = await _failed(world, 5, type="KeyError")
    (done,) = await world.running(spec=_spec())
    await world.complete(done)
    key = world.shard.keys.of("failed_by_time", ns=NAMESPACE)
    ends = dict(zip(runs, [5, 3, 1, 2, 4], strict=True))
    await world.shard.redis.zadd(key, ends)
    expected = sorted(runs, key=lambda run: -ends[run])
    assert await _ids(world, dead_letter=True) == expected
    assert await _ids(world, dead_letter=True, since_ms=2, until_ms=4) == expected[2:4]
    page = await _list(world, dead_letter=True, page_size=2)
    assert [[f.type for f in run.failures] for run in page.runs] == [["KeyError"]] * 2
    assert await _ids(world, dead_letter=True, page_token=page.next_page_token) == expected[2:]


async def test_failures_are_told_apart_by_their_types(world: World) -> None:
    """By the last one of each run; in the list of all runs too."""
    keys = await _failed(world, 2, type="KeyError")
    values = await _failed(world, 1, type="ValueError")
    await world.submit(spec=_spec())
    for dead_letter in (False, True):
        assert set(await _ids(world, dead_letter=dead_letter, error_types=["KeyError"])) == set(keys)
        assert set(await _ids(world, dead_letter=dead_letter, error_types=["KeyError", "ValueError"])) == {
            *keys,
            *values,
        }
        assert await _ids(world, dead_letter=dead_letter, error_types=["Other"]) == []
