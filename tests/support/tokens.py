"""Owns making tokens for tests, straight in the store, as `windlass token create --store` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from windlass_core.domain.access import Scope
from windlass_core.domain.token import SECRET_BYTES, TokenName, token_name, token_text

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard


def mint() -> tuple[str, TokenName]:
    """The text of a new token, and what it is known by."""
    text = token_text(os.urandom(SECRET_BYTES))
    name = token_name(text)
    assert name is not None
    return text, name


async def make_token(shard: Shard, *scopes: Scope, namespace: str = "default", ttl_ms: int = 0) -> tuple[str, str]:
    """The text and the id of a new token that the store has; without scopes it may do all."""
    text, name = mint()
    stored = await shard.tokens.create(
        namespace, name, name="test", scopes=frozenset(scopes or {Scope.ADMIN}), ttl_ms=ttl_ms
    )
    assert stored is not None
    return text, name.id
