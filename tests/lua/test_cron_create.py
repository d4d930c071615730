"""cron_create: keeps a cron that was made by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.crons import checked, made
from tests.support.world import NAMESPACE
from windlass_core.domain.errors import StoreFull

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_new_cron_is_looked_at_at_once(world: World) -> None:
    """The scheduler is woken, and finds its first tick after now."""
    cron = await made(world)
    s = await world.look()
    assert s.list("wake") == ["1"]
    assert set(s.zset("crd")) == {cron}
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert (stored.workflow, stored.name, stored.revision) == ("t", "nightly", 1)
    assert stored.created_ms == stored.settled_ms > 0
    assert not stored.declared
    assert not stored.paused


async def test_the_same_again_changes_nothing(world: World) -> None:
    """A call that was repeated because its answer was lost."""
    await made(world)
    before = (await world.look()).values
    assert await world.shard.crons.create(NAMESPACE, checked()) == "same"
    assert (await world.look()).values == before


async def test_a_name_that_is_taken_is_refused(world: World) -> None:
    """It may be another workflow's, or another namespace's."""
    cron = await made(world)
    assert await world.shard.crons.create(NAMESPACE, checked(expression="@hourly")) == "taken"
    (stored,) = await world.shard.crons.get(NAMESPACE, [cron])
    assert stored is not None
    assert stored.body == checked().body
    await made(world, workflow="other")
    await made(world, namespace="acme")
    assert await world.shard.crons.get("acme", [cron]) == [None]


async def test_crons_are_listed_by_workflow_and_name(world: World) -> None:
    """In pages; those of one workflow alone, though another's name begins with its."""
    for workflow, name in (("b", "2"), ("a", "3"), ("b", "1"), ("bb", "0"), ("b.", "9")):
        await made(world, name, workflow=workflow)
    crons = world.shard.crons
    found: list[str] = []
    while page := await crons.page(NAMESPACE, "", found[-1] if found else "", 2):
        found += [place for place, _ in page]
    expected = [("a", "3"), ("b", "1"), ("b", "2"), ("b.", "9"), ("bb", "0")]
    assert [tuple(place.split("\n")[:2]) for place in found] == expected
    of_b = await crons.page(NAMESPACE, "b", "", 10)
    assert [place.split("\n")[1] for place, _ in of_b] == ["1", "2"]
    assert [await crons.page(NAMESPACE, "b", of_b[0][0], 10), await crons.page("acme", "", "", 10)] == [of_b[1:], []]


async def test_no_cron_is_kept_where_the_store_is_full(world: World) -> None:
    """It would be a promise that nobody could keep."""
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await made(world)
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    assert not (await world.look()).keys_of("cron")
