"""workflows_register: makes definitions the current versions of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.audit import audit
from tests.support.crons import checked
from tests.support.world import NAMESPACE, World

if TYPE_CHECKING:
    from windlass_core.domain.cron_spec import CheckedCron
    from windlass_core.store.shard import Shard


async def test_a_registered_definition_is_the_current_one(shard: Shard) -> None:
    """With the time of its registration."""
    assert await shard.definitions.register(NAMESPACE, [("a", "v1", b"body", [])]) == 1
    current = await shard.definitions.current(NAMESPACE, "a")
    assert current is not None
    assert (current.name, current.version, current.body) == ("a", "v1", b"body")
    assert current.registered_ms > 1_700_000_000_000
    assert await shard.definitions.current(NAMESPACE, "b") is None
    assert await shard.definitions.current("other", "a") is None


async def test_the_same_again_changes_nothing(shard: Shard) -> None:
    """Neither the time nor the epoch, which would have every process ask again."""
    await shard.definitions.register(NAMESPACE, [("a", "v1", b"body", [])])
    first = await shard.definitions.current(NAMESPACE, "a")
    await shard.redis.time()
    assert await shard.definitions.register(NAMESPACE, [("a", "v1", b"body", [])]) == 1
    assert await shard.definitions.current(NAMESPACE, "a") == first


async def test_older_versions_stay_readable(shard: Shard) -> None:
    """A run keeps the version that it began with."""
    await shard.definitions.register(NAMESPACE, [("a", "v1", b"one", [])])
    assert await shard.definitions.register(NAMESPACE, [("a", "v2", b"two", [])]) == 2
    current = await shard.definitions.current(NAMESPACE, "a")
    first = await shard.definitions.version(NAMESPACE, "a", "v1")
    assert current is not None
    assert first is not None
    assert (current.body, first.body) == (b"two", b"one")
    assert await shard.definitions.version(NAMESPACE, "a", "v3") is None


async def test_an_older_version_can_be_the_current_one_again(shard: Shard) -> None:
    """A roll-back: known, but not current."""
    for version in ("v1", "v2"):
        await shard.definitions.register(NAMESPACE, [("a", version, version.encode(), [])])
    epoch = await shard.definitions.register(NAMESPACE, [("a", "v1", b"v1", [])])
    current = await shard.definitions.current(NAMESPACE, "a")
    assert current is not None
    assert (current.version, epoch) == ("v1", 3)


async def test_a_batch_is_one_change(shard: Shard) -> None:
    """The largest one."""
    batch: list[tuple[str, str, bytes, list[CheckedCron]]] = [(f"w{i:03}", "v1", b"", []) for i in range(1000)]
    assert await shard.definitions.register(NAMESPACE, batch) == 1
    assert await shard.definitions.register(NAMESPACE, [*batch[:999], ("w999", "v2", b"", [])]) == 2
    assert await shard.definitions.names(NAMESPACE) == [name for name, *_ in batch]


async def test_nothing_registered_changes_nothing(shard: Shard) -> None:
    """An empty batch."""
    assert await shard.definitions.register(NAMESPACE, []) == 0
    assert await shard.definitions.names(NAMESPACE) == []


async def test_a_definition_brings_its_crons_once(shard: Shard) -> None:
    """However many workers register it; they are due from then on."""
    crons = [checked("a", declared=True), checked("b", declared=True)]
    for _ in range(3):
        await shard.definitions.register(NAMESPACE, [("t", "v1", b"", crons)])
    world = World(shard)
    s = await world.look()
    assert set(s.zset("crd")) == {cron.cron_id for cron in crons}
    assert not list(audit(s))
    assert all(cron.declared for cron in await shard.crons.get(NAMESPACE, [c.cron_id for c in crons]) if cron)


async def test_a_newer_definition_takes_the_place_of_its_crons(shard: Shard) -> None:
    """What it lacks goes, what it changes is changed, what stays goes on as it was; others' are left alone."""
    stays, goes, changes = [checked(name, declared=True) for name in ("stays", "goes", "changes")]
    by_call = checked("goes")
    await shard.crons.create(NAMESPACE, by_call)
    await shard.definitions.register(NAMESPACE, [("t", "v1", b"", [stays, goes, changes])])
    await shard.crons.switch(NAMESPACE, "pause", [stays.cron_id])
    before = await shard.crons.get(NAMESPACE, [stays.cron_id, by_call.cron_id])
    changed = checked("changes", "@hourly", declared=True)
    await shard.definitions.register(NAMESPACE, [("t", "v2", b"", [stays, changed])])
    assert await shard.crons.get(NAMESPACE, [stays.cron_id, by_call.cron_id]) == before
    assert await shard.crons.get(NAMESPACE, [goes.cron_id]) == [None]
    (stored,) = await shard.crons.get(NAMESPACE, [changed.cron_id])
    assert stored is not None
    assert (stored.body, stored.revision) == (changed.body, 2)
    await shard.definitions.register(NAMESPACE, [("t", "v3", b"", [])])
    s = await World(shard).look()
    assert [cron for (cron,) in s.keys_of("cron").values()] == [by_call.cron_id]
    assert not list(audit(s))
