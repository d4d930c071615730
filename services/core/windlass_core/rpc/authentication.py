"""Owns who calls: which token came, whether it still holds, and what ends when it no longer does.

A token is looked up once and remembered as a grant. The store puts a note into the box of every
process when it revokes one; a process that may have missed notes doubts all its grants, and looks
them up again. So nothing polls, and a call with a token that is known costs one hash.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog

from windlass_core.domain.access import ANYBODY, Principal
from windlass_core.domain.errors import (
    StoreUnavailable,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    Unauthenticated,
)
from windlass_core.domain.token import StoredToken, TokenName, token_name
from windlass_core.pump import Backoff
from windlass_core.store.tokens import Tokens

_log = structlog.get_logger(__name__)

# Tokens remembered; beyond that the oldest without an open call is looked up again at its next call.
MAX_GRANTS = 10_000
_SCHEME = "bearer "
_REMEDY = "check WINDLASS_TOKEN or WINDLASS_TOKEN_FILE"


class Grant:
    """What one token's bearer may do, until it ends; and the calls that end with it."""

    __slots__ = ("_calls", "_timer", "digest", "doubted", "ended", "principal")

    def __init__(self, principal: Principal, digest: str) -> None:
        self.principal = principal
        self.digest = digest
        self.ended: Unauthenticated | None = None
        self.doubted = False
        self._calls: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_used(self) -> bool:
        """Whether a call is open."""
        return bool(self._calls)

    def enter(self, call: "asyncio.Task[Any]") -> None:
        """From now on the call is cancelled when the grant ends. Raises what ended it."""
        if self.ended is not None:
            raise self.ended
        self._calls.add(call)

    def leave(self, call: "asyncio.Task[Any]") -> None:
        """The call is over."""
        self._calls.discard(call)

    def end(self, error: Unauthenticated) -> None:
        """It holds no longer; its calls are cancelled."""
        self.forget()
        if self.ended is None:
            self.ended = error
            for call in self._calls:
                call.cancel()

    def end_after(self, seconds: float, error: Unauthenticated) -> None:
        """It ends by itself."""
        self.forget()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end, error)

    def forget(self) -> None:
        """Nobody will ask for it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Authentication:
    """The grants of one process."""

    def __init__(self, tokens: Tokens, *, required: bool) -> None:
        """`required`: whoever brings no token is refused, and not taken for anybody."""
        self.anybody = Grant(ANYBODY, "")
        self._tokens = tokens
        self._required = required
        self._grants: dict[str, Grant] = {}
        # Counts what may make an answer of the store stale while it is on its way.
        self._notes = 0
        self._some_doubted = asyncio.Event()

    async def grant_of(self, metadata: Iterable[tuple[str, str | bytes]]) -> Grant:
        """Whose call it is, by its metadata. Raises Unauthenticated, StoreUnavailable."""
        text = _bearer(metadata)
        if text is None:
            if self._required:
                raise TokenMissing("no token came with the call: set WINDLASS_TOKEN, or send `authorization: Bearer …`")
            return self.anybody
        digest = hashlib.sha256(text.encode()).hexdigest()
        grant = self._grants.get(digest)
        if grant is None or grant.doubted:
            grant = await self._look_up(text)
        if grant.ended is not None:
            raise grant.ended
        return grant

    async def still(self, grant: Grant) -> Grant:
        """The grant, looked up again where it was forgotten since. Raises Unauthenticated, StoreUnavailable."""
        if self._grants.get(grant.digest) is grant:
            return grant
        asked = await self._ask(TokenName(grant.principal.token_id, grant.digest))
        if asked is None:
            raise Unauthenticated(f"this engine no longer knows the token {grant.principal.token_id}")
        return asked

    def revoked(self, token_ids: Iterable[str]) -> None:
        """The store's note: these tokens have ended."""
        self._notes += 1
        ended = set(token_ids)
        for grant in self._grants.values():
            if grant.principal.token_id in ended:
                grant.end(_revoked(grant.principal.token_id))

    def doubt(self) -> None:
        """Notes may have been lost: all grants are to be looked up again."""
        self._notes += 1
        for digest, grant in list(self._grants.items()):
            if grant.is_used:
                grant.doubted = True
            else:
                grant.forget()
                del self._grants[digest]
        self._some_doubted.set()

    async def resolve_doubts(self) -> None:
        """Looks up again what has open calls, for ever."""
        backoff = Backoff()
        while True:
            await self._some_doubted.wait()
            self._some_doubted.clear()
            try:
                for grant in [grant for grant in self._grants.values() if grant.doubted]:
                    await self._ask(TokenName(grant.principal.token_id, grant.digest))
                backoff.reset()
            except StoreUnavailable as error:
                _log.warning("tokens not looked up again, trying again", error=str(error))
                self._some_doubted.set()
                await backoff.wait()

    async def _look_up(self, text: str) -> Grant:
        name = token_name(text)
        if name is None:
            raise Unauthenticated(f"what came with the call is no token of this engine: {_REMEDY}")
        grant = await self._ask(name)
        if grant is None:
            raise Unauthenticated(f"this engine knows no such token: {_REMEDY}")
        return grant

    async def _ask(self, name: TokenName) -> Grant | None:
        """The store's word on a token. None: it knows none; a grant for it has been ended."""
        while True:
            notes = self._notes
            found = await self._tokens.find(name.id)
            if notes == self._notes:
                break
        grant = self._grants.get(name.digest)
        token = found.token
        if token is None or not hmac.compare_digest(token.digest, name.digest):
            if grant is not None:
                grant.end(Unauthenticated(f"this engine no longer knows the token {name.id}"))
                del self._grants[name.digest]
            return None
        if grant is None:
            self._make_room()
            grant = self._grants[name.digest] = Grant(token.principal, name.digest)
        grant.doubted = False
        _judge(grant, token, found.now_ms)
        return grant

    def _make_room(self) -> None:
        if len(self._grants) < MAX_GRANTS:
            return
        for digest, grant in self._grants.items():
            if not grant.is_used:
                grant.forget()
                del self._grants[digest]
                return


def _judge(grant: Grant, token: StoredToken, now_ms: int) -> None:
    if token.revoked_ms:
        grant.end(_revoked(token.token_id))
    elif token.expires_ms:
        expired = TokenExpired(f"the token {token.token_id} expired at {_utc(token.expires_ms)}: get another one")
        if token.expires_ms <= now_ms:
            grant.end(expired)
        else:
            grant.end_after((token.expires_ms - now_ms) / 1000, expired)


def _revoked(token_id: str) -> TokenRevoked:
    return TokenRevoked(f"the token {token_id} has been revoked: get another one")


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def _bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The token's text, None where none came. Raises Unauthenticated for anything else that says who it is."""
    texts = [value for key, value in metadata if key == "authorization"]
    if not texts:
        return None
    text = texts[0]
    if len(texts) > 1 or isinstance(text, bytes) or text[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated("authorization: expected one `Bearer` and a token")
    return text[len(_SCHEME) :].strip()
