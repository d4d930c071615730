"""token_create: stores a token by its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.tokens import mint
from windlass_core.domain.access import Scope
from windlass_core.domain.token import KEPT_MS

if TYPE_CHECKING:
    from tests.support.world import World

SCOPES = frozenset({Scope.READ, Scope.SUBMIT})


async def test_a_token_is_found_as_it_was_made(world: World) -> None:
    """With its namespace and scopes, and never with its text."""
    text, name = mint()
    made = await world.shard.tokens.create("acme", name, name="ci", scopes=SCOPES, ttl_ms=0)
    found = await world.shard.tokens.find(name.id)
    assert found.token == made
    assert made is not None
    assert (made.namespace, made.name, made.scopes, made.expires_ms, made.revoked_ms) == ("acme", "ci", SCOPES, 0, 0)
    assert found.now_ms >= made.created_ms > 0
    secret = text.removeprefix("wlt_").encode()
    assert secret not in repr((await world.look()).values).encode()
    assert await world.shard.redis.pttl(world.shard.keys.of("token", token=name.id)) == -1


async def test_a_token_that_expires_is_kept_for_a_while_after(world: World) -> None:
    """To tell "expired" from "unknown"."""
    _, name = mint()
    made = await world.shard.tokens.create("acme", name, name="", scopes=SCOPES, ttl_ms=60_000)
    assert made is not None
    assert made.expires_ms == made.created_ms + 60_000
    left_ms = await world.shard.redis.pttl(world.shard.keys.of("token", token=name.id))
    assert KEPT_MS < left_ms <= KEPT_MS + 60_000


async def test_a_token_is_made_once(world: World) -> None:
    """The second one of an id changes nothing."""
    _, name = mint()
    made = await world.shard.tokens.create("acme", name, name="first", scopes=SCOPES, ttl_ms=0)
    assert await world.shard.tokens.create("evil", name, name="second", scopes=SCOPES, ttl_ms=0) is None
    assert (await world.shard.tokens.find(name.id)).token == made


async def test_tokens_are_listed_by_namespace_newest_first(world: World) -> None:
    """In pages; what the store has forgotten leaves the list with the next token."""
    made = []
    for place in range(4):
        _, name = mint()
        await world.shard.tokens.create("acme", name, name=str(place), scopes=SCOPES, ttl_ms=0)
        await world.shard.redis.zadd(world.shard.keys.of("tokens", ns="acme"), {name.id: place + 1})
        made.append(name.id)
    _, other = mint()
    await world.shard.tokens.create("other", other, name="", scopes=SCOPES, ttl_ms=0)
    pages = [await world.shard.tokens.page("acme", first, 2) for first in (0, 2, 4)]
    assert [[token.name for token in page] for page in pages] == [["3", "2"], ["1", "0"], []]
    await world.shard.redis.delete(world.shard.keys.of("token", token=made[1]))
    assert len(await world.shard.tokens.page("acme", 0, 10)) == 3
    assert await world.shard.tokens.count("acme") == 4
    _, name = mint()
    await world.shard.tokens.create("acme", name, name="4", scopes=SCOPES, ttl_ms=0)
    assert await world.shard.tokens.count("acme") == 4


async def test_nobody_knows_a_token_that_was_never_made(world: World) -> None:
    """Nor one of noise."""
    assert (await world.shard.tokens.find(mint()[1].id)).token is None
    assert (await world.shard.tokens.find("noise")).token is None
