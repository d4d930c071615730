"""How runs are filtered and paged, over a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAMESPACE
from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.listing import list_runs, page_size
from windlass_core.domain.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.world import World


async def _list(world: World, **request: Any) -> run_service_pb2.ListRunsResponse:
    return await list_runs(world.shard.runs, NAMESPACE, run_service_pb2.ListRunsRequest(**request))


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
    (second,) = await world.submit(spec=_spec(workflow_name="other", metadata_json=b'{"a":"y"}'))
    (third,) = await world.submit(spec=_spec())
    await world.cancel(third)
    running, cancelled = run_pb2.RUN_STATUS_RUNNING, run_pb2.RUN_STATUS_CANCELLED
    assert await _ids(world, statuses=[running]) == [first]
    assert set(await _ids(world, statuses=[running, cancelled])) == {first, third}
    assert await _ids(world, workflow_names=["other"]) == [second]
    assert await _ids(world, workflow_names=["other"], statuses=[running]) == []
    assert await _ids(world, metadata={"a": "x", "n": "1"}) == [first]
    assert await _ids(world, metadata={"deep": '{"b":["ö",2]}'}) == [first]
    assert await _ids(world, metadata={"a": "x", "missing": ""}) == []


async def test_a_long_search_gives_a_token_before_it_has_found_anything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call looks at so many runs at the most."""
    monkeypatch.setattr("windlass_api.listing._SCANNED_PER_CALL", 20)
    monkeypatch.setattr("windlass_api.listing._CHUNK", 10)
    (wanted,) = await world.submit(spec=_spec(workflow_name="wanted"))
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
        ("metadata", {str(number): "x" for number in range(1001)}),
    ],
)
async def test_filters_have_a_limit(world: World, name: str, many: Any) -> None:
    """Each run is held against all of them."""
    with pytest.raises(InvalidField, match=f"{name}: expected at most 1000"):
        await _list(world, **{name: many})
