"""Owns what can be done with tokens: typed calls of the token scripts, and looking one up."""

import os
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from windlass_core.domain.access import Scope
from windlass_core.domain.token import KEPT_MS, SECRET_BYTES, StoredToken, TokenName, token_name, token_text
from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts

Revoked: TypeAlias = Literal["revoked", "already", "unknown"]

_FIELDS = ("h", "ns", "name", "sc", "c", "x", "rv")


@dataclass(frozen=True, slots=True)
class Found:
    """What the store says of a token, and when: ms since 1970 UTC by its clock."""

    token: StoredToken | None
    now_ms: int


class Tokens:
    """The tokens of one shard. Every method raises StoreUnavailable, `create` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def make(
        self, namespace: str, *, name: str, scopes: frozenset[Scope], ttl_ms: int
    ) -> tuple[StoredToken, str]:
        """A new token and its text, which nobody can be told again. `ttl_ms` 0: it never expires."""
        while True:
            text = token_text(os.urandom(SECRET_BYTES))
            named = token_name(text)
            assert named is not None  # noqa: S101 — it has just been made
            stored = await self.create(namespace, named, name=name, scopes=scopes, ttl_ms=ttl_ms)
            if stored is not None:  # else, by a chance of one in 2^80, there is one of its id
                return stored, text

    async def create(
        self, namespace: str, token: TokenName, *, name: str, scopes: frozenset[Scope], ttl_ms: int
    ) -> StoredToken | None:
        """Keeps a token by its digest. `ttl_ms` 0: it never expires. None: there is such a token."""
        told = await self._scripts.call(
            "token_create", (namespace, token.id, token.digest, name, " ".join(sorted(scopes)), ttl_ms, KEPT_MS)
        )
        if not told:
            return None
        created_ms, expires_ms = told
        return StoredToken(token.id, token.digest, namespace, name, scopes, created_ms, expires_ms, 0)

    async def revoke(self, namespace: str, token_ids: list[str]) -> list[Revoked]:
        """Ends tokens. Every live process is told."""
        outcomes = await self._scripts.call("tokens_revoke", (namespace, KEPT_MS, token_ids))
        return [outcome.decode() for outcome in outcomes]

    async def find(self, token_id: str) -> Found:
        """One token, of whatever namespace: whoever asks compares the digest."""
        (seconds, micros), values = await self._reader.many([("TIME",), self._read(token_id)])
        return Found(_to_token(token_id, values), int(seconds) * 1000 + int(micros) // 1000)

    async def page(self, namespace: str, first: int, count: int) -> list[StoredToken]:
        """Tokens of the namespace, newest first, from place `first` on; fewer where some are forgotten."""
        key = self._keys.of("tokens", ns=namespace)
        ids = [i.decode() for i in await self._reader.one("ZREVRANGE", key, first, first + count - 1)]
        replies = await self._reader.many([self._read(token_id) for token_id in ids])
        found = [_to_token(token_id, values) for token_id, values in zip(ids, replies, strict=True)]
        return [token for token in found if token is not None]

    async def count(self, namespace: str) -> int:
        """How many places `page` has."""
        places: int = await self._reader.one("ZCARD", self._keys.of("tokens", ns=namespace))
        return places

    def _read(self, token_id: str) -> tuple[str | int, ...]:
        return ("HMGET", self._keys.of("token", token=token_id), *_FIELDS)


def _to_token(token_id: str, values: list[Any]) -> StoredToken | None:
    digest, namespace, name, scopes, created, expires, revoked = values
    if digest is None:
        return None
    return StoredToken(
        token_id=token_id,
        digest=digest.decode(),
        namespace=namespace.decode(),
        name=name.decode(),
        scopes=frozenset(Scope(scope) for scope in scopes.decode().split()),
        created_ms=int(created),
        expires_ms=int(expires),
        revoked_ms=int(revoked or 0),
    )
