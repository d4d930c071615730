"""What a process knows of the definitions, and when it asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass.v1 import workflow_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import InvalidField, StoreFull

if TYPE_CHECKING:
    from windlass_core.store.definitions import StoredDefinition
    from windlass_core.store.shard import Shard


def _workflow(name: str, description: str = "") -> workflow_pb2.WorkflowDefinition:
    return workflow_pb2.WorkflowDefinition(
        name=name, description=description, tasks=[workflow_pb2.TaskDefinition(name=name)]
    )


async def test_what_was_replaced_while_it_was_read_is_not_kept(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or runs would begin with an old version until the next change of any."""
    cache, other = DefinitionCache(shard.definitions), DefinitionCache(shard.definitions)
    (old,) = await other.register(NAMESPACE, [_workflow("a")], "workflows")
    read = shard.definitions.current

    async def read_slowly(namespace: str, name: str) -> StoredDefinition | None:
        stored = await read(namespace, name)
        cache.note_epoch(await shard.definitions.register(namespace, [("b", "v1", b"", [])]))
        return stored

    with monkeypatch.context() as slow:
        slow.setattr(shard.definitions, "current", read_slowly)
        assert await cache.current(NAMESPACE, "a") == old
    assert cache.at_hand(NAMESPACE, "a") is None
    assert await cache.current(NAMESPACE, "a") == old
    assert cache.at_hand(NAMESPACE, "a") == old


async def test_a_full_store_takes_back_what_it_has(shard: Shard) -> None:
    """A worker that connects again can end what holds the memory; a new definition has to wait."""
    cache = DefinitionCache(shard.definitions)
    registered = await cache.register(NAMESPACE, [_workflow("a"), _workflow("b")], "workflows")
    await shard.redis.config_set("maxmemory", 1)
    try:
        assert await cache.register(NAMESPACE, [_workflow("a"), _workflow("b")], "workflows") == registered
        for changed in (_workflow("c"), _workflow("a", "another")):
            with pytest.raises(StoreFull):
                await cache.register(NAMESPACE, [changed], "workflows")
    finally:
        await shard.redis.config_set("maxmemory", 0)


async def test_a_name_may_stand_in_a_batch_once(shard: Shard) -> None:
    """The second one is named."""
    with pytest.raises(InvalidField) as raised:
        await DefinitionCache(shard.definitions).register(NAMESPACE, [_workflow(n) for n in "aba"], "workflows")
    assert raised.value.field == "workflows[2].name"
