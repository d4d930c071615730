"""Who follows which run, and the marks that this leaves in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_api.following import Follower, Following
from windlass_api.waiting import Waiting

if TYPE_CHECKING:
    from tests.support.world import World


async def test_one_of_another_namespace_keeps_no_mark(world: World) -> None:
    """It has asked for the same run, and is refused only after the last one of its own has gone."""
    (run,) = await world.submit()
    following = Following(world.shard.runs, "a1", Waiting(world.shard, "a1"))
    async with following.follow(NAMESPACE, [run]):
        following._followers[run].add(Follower("other", [run]))
        assert await world.field(run, "fw") is not None
    assert await world.field(run, "fw") is None
