"""Who calls: grants, and what ends them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tokens import make_token, mint
from windlass_core import pump
from windlass_core.domain.access import ANYBODY, Scope
from windlass_core.domain.errors import (
    StoreUnavailable,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    Unauthenticated,
)
from windlass_core.rpc import authentication as module
from windlass_core.rpc.authentication import Authentication, Grant

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard
    from windlass_core.store.tokens import Found


def bearer(text: str) -> list[tuple[str, str | bytes]]:
    """The metadata of a call with that token."""
    return [("user-agent", "test"), ("authorization", f"Bearer {text}")]


@pytest.fixture
def gate(shard: Shard) -> Authentication:
    """Give an authentication that wants tokens."""
    return Authentication(shard.tokens, required=True)


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _ended(task: asyncio.Task[Any]) -> bool:
    async with asyncio.timeout(10):
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.cancelled()


async def test_a_token_is_looked_up_once(gate: Authentication, shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on the store may be away."""
    text, token_id = await make_token(shard, Scope.READ, namespace="acme")
    grant = await gate.grant_of(bearer(text))
    assert (grant.principal.namespace, grant.principal.scopes) == ("acme", frozenset({Scope.READ}))
    assert grant.principal.token_id == token_id
    other, _ = await make_token(shard)

    async def away(token_id: str) -> Found:
        raise StoreUnavailable("away")

    monkeypatch.setattr(shard.tokens, "find", away)
    assert await gate.grant_of(bearer(text)) is grant
    with pytest.raises(StoreUnavailable):
        await gate.grant_of(bearer(other))


async def test_without_a_token_it_depends(gate: Authentication, shard: Shard) -> None:
    """Where none is wanted, anybody may do all; one that comes counts all the same."""
    with pytest.raises(TokenMissing):
        await gate.grant_of([("user-agent", "test")])
    open_gate = Authentication(shard.tokens, required=False)
    assert (await open_gate.grant_of([])).principal is ANYBODY
    with pytest.raises(Unauthenticated):
        await open_gate.grant_of(bearer(mint()[0]))
    text, _ = await make_token(shard, Scope.READ, namespace="acme")
    assert (await open_gate.grant_of(bearer(text))).principal.namespace == "acme"


@pytest.mark.parametrize(
    "metadata",
    [
        bearer(""),
        bearer("garbage"),
        bearer("wlt_" + "x" * 49),
        [("authorization", "Basic eDp5")],
        [("authorization", "")],
        [("authorization", b"\xff")],
        [*bearer("a"), *bearer("b")],
    ],
)
async def test_noise_is_refused_without_asking_the_store(metadata: Any) -> None:
    """And is not repeated in the error."""
    with pytest.raises(Unauthenticated) as raised:
        await Authentication(None, required=False).grant_of(metadata)  # type: ignore[arg-type]
    assert "garbage" not in str(raised.value)


async def test_a_revocation_ends_what_is_open(gate: Authentication, shard: Shard) -> None:
    """And all that comes later."""
    text, token_id = await make_token(shard)
    untouched, _ = await make_token(shard)
    grant, other = await gate.grant_of(bearer(text)), await gate.grant_of(bearer(untouched))
    open_call, other_call = asyncio.create_task(_for_ever()), asyncio.create_task(_for_ever())
    grant.enter(open_call)
    other.enter(other_call)
    gate.revoked([token_id])
    assert await _ended(open_call)
    assert not other_call.done()
    other_call.cancel()
    with pytest.raises(TokenRevoked, match=token_id):
        await gate.grant_of(bearer(text))
    with pytest.raises(TokenRevoked):
        grant.enter(open_call)


async def test_a_revocation_that_overtakes_the_look_up_counts(
    gate: Authentication, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's answer was on its way when the note came: it is asked again."""
    text, _ = await make_token(shard)
    find = shard.tokens.find

    async def overtaken(token_id: str) -> Found:
        found = await find(token_id)
        monkeypatch.setattr(shard.tokens, "find", find)
        await shard.tokens.revoke("default", [token_id])
        gate.revoked([token_id])
        return found

    monkeypatch.setattr(shard.tokens, "find", overtaken)
    with pytest.raises(TokenRevoked):
        await gate.grant_of(bearer(text))


async def test_an_expiry_ends_what_is_open(gate: Authentication, shard: Shard) -> None:
    """At its time, by the store's clock."""
    text, token_id = await make_token(shard, ttl_ms=150)
    grant = await gate.grant_of(bearer(text))
    open_call = asyncio.create_task(_for_ever())
    grant.enter(open_call)
    assert await _ended(open_call)
    for each in (gate, Authentication(shard.tokens, required=True)):
        with pytest.raises(TokenExpired, match=token_id):
            await each.grant_of(bearer(text))


async def test_notes_that_may_be_lost_are_asked_for(
    gate: Authentication, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the store answers: what was revoked or has gone meanwhile ends, the rest goes on."""
    monkeypatch.setattr(pump, "FIRST_DELAY_S", 0.0)
    texts = [await make_token(shard) for _ in range(3)]
    grants: list[Grant] = []
    calls = [asyncio.create_task(_for_ever()) for _ in texts]
    for (text, _), call in zip(texts, calls, strict=True):
        grants.append(await gate.grant_of(bearer(text)))
        grants[-1].enter(call)
    await shard.tokens.revoke("default", [texts[0][1]])
    await shard.redis.delete(shard.keys.of("token", token=texts[1][1]))
    find, failures = shard.tokens.find, iter([True, True])

    async def find_at_last(token_id: str) -> Found:
        if next(failures, False):
            raise StoreUnavailable("away")
        return await find(token_id)

    monkeypatch.setattr(shard.tokens, "find", find_at_last)
    loop = asyncio.create_task(gate.resolve_doubts())
    gate.doubt()
    assert await _ended(calls[0])
    assert await _ended(calls[1])
    assert isinstance(grants[0].ended, TokenRevoked)
    assert isinstance(grants[1].ended, Unauthenticated)
    assert await gate.grant_of(bearer(texts[2][0])) is grants[2]
    assert not grants[2].doubted
    assert not calls[2].done()
    for task in (loop, calls[2]):
        task.cancel()


async def test_a_grant_that_was_forgotten_is_asked_for_again(gate: Authentication, shard: Shard) -> None:
    """A call may begin long after it was looked at: its caller sends the request when it likes."""
    text, token_id = await make_token(shard)
    grant = await gate.grant_of(bearer(text))
    assert await gate.still(grant) is grant
    gate.doubt()
    await shard.tokens.revoke("default", [token_id])
    with pytest.raises(TokenRevoked):
        (await gate.still(grant)).enter(asyncio.create_task(_for_ever()))


async def test_what_is_remembered_is_bounded(
    gate: Authentication, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has open calls stays."""
    monkeypatch.setattr(module, "MAX_GRANTS", 3)
    texts = [(await make_token(shard))[0] for _ in range(6)]
    first = await gate.grant_of(bearer(texts[0]))
    call = asyncio.create_task(_for_ever())
    first.enter(call)
    for text in texts[1:]:
        await gate.grant_of(bearer(text))
    assert len(gate._grants) == 3
    assert await gate.grant_of(bearer(texts[0])) is first
    call.cancel()
