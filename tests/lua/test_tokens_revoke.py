"""tokens_revoke: ends tokens, and tells every live process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.tokens import make_token, mint
from windlass_core.domain.token import KEPT_MS

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_revocation_is_told_to_every_live_process(world: World) -> None:
    """Apis and dispatchers, whether they know the token or not; the dead are told nothing."""
    for service, inc in (("api", "a2"), ("dispatcher", "d2"), ("api", "dead"), ("dispatcher", "dead")):
        await world.shard.processes.beat(service, inc, "127.0.0.1:9", 60_000)  # type: ignore[arg-type]
    for service in ("api", "dispatcher"):
        await world.lapse(service, "dead")
    ids = [(await make_token(world.shard, namespace="acme"))[1] for _ in range(2)]
    assert await world.shard.tokens.revoke("acme", ids) == ["revoked", "revoked"]
    note = [b"revoked", [token_id.encode() for token_id in ids]]
    for api in ("a1", "a2"):
        assert await world.outbox(api) == [note]
    for dispatcher in ("d1", "d2"):
        assert await world.inbox(dispatcher) == [note]
    assert not [key for key in (await world.look()).values if key.endswith(":dead")]


async def test_a_revoked_token_says_so_for_a_while(world: World) -> None:
    """Then the store forgets it."""
    _, token_id = await make_token(world.shard)
    await world.shard.tokens.revoke("default", [token_id])
    found = await world.shard.tokens.find(token_id)
    assert found.token is not None
    assert found.token.revoked_ms > 0
    left_ms = await world.shard.redis.pttl(world.shard.keys.of("token", token=token_id))
    assert KEPT_MS - 60_000 < left_ms <= KEPT_MS


async def test_the_first_revocation_counts(world: World) -> None:
    """The second changes nothing, and tells nobody."""
    _, token_id = await make_token(world.shard)
    await world.shard.tokens.revoke("default", [token_id])
    before = await world.shard.tokens.find(token_id)
    await world.outbox()
    assert await world.shard.tokens.revoke("default", [token_id]) == ["already"]
    assert (await world.shard.tokens.find(token_id)).token == before.token
    assert await world.outbox() == []


async def test_a_token_of_another_namespace_is_unknown(world: World) -> None:
    """Exactly as one that never was; it goes on."""
    _, token_id = await make_token(world.shard, namespace="acme")
    assert await world.shard.tokens.revoke("evil", [token_id, mint()[1].id]) == ["unknown", "unknown"]
    found = await world.shard.tokens.find(token_id)
    assert found.token is not None
    assert not found.token.revoked_ms
    assert await world.outbox() == []
