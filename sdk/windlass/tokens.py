"""Owns `app.tokens`: make, list and revoke the tokens of one's own namespace. Needs the scope admin."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, get_args

from windlass.duration import Duration, to_milliseconds
from windlass.exceptions import InvalidInput
from windlass.v1 import token_pb2, token_service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.transport.session import Api, ClientSession

Scope: TypeAlias = Literal["submit", "read", "work", "schedule", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_REVOKED: dict[int, Revoked] = {
    token_service_pb2.REVOKE_OUTCOME_REVOKED: "revoked",
    token_service_pb2.REVOKE_OUTCOME_ALREADY_REVOKED: "already",
    token_service_pb2.REVOKE_OUTCOME_UNKNOWN_TOKEN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without the secret that proves it. Times are None where there is none."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def from_proto(cls, token: token_pb2.Token) -> Self:
        """Read it from the wire."""
        return cls(
            id=token.token_id,
            name=token.name,
            scopes=tuple(token_pb2.TokenScope.Name(s).removeprefix("TOKEN_SCOPE_").lower() for s in token.scopes),
            created_at=datetime.fromtimestamp(token.created_at_ms / 1000, UTC),
            expires_at=_moment(token.expires_at_ms),
            revoked_at=_moment(token.revoked_at_ms),
        )


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with its secret: what WINDLASS_TOKEN takes. It can't be shown again."""

    token: Token
    secret: str = field(repr=False)


class TokensClient:
    """The tokens of the caller's namespace. Every method has an `aio_` twin. Raises MissingScope."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def create(self, name: str = "", *, scopes: Sequence[str], expires: Duration | None = None) -> NewToken:
        """Make a token.

        Args:
            name: for people.
            scopes: what it allows, of submit, read, work, schedule and admin.
            expires: it ends so long from now; left out, never.

        Raises:
            InvalidInput: there is no such scope, or the time is none.

        """
        request = _creation(name, scopes, expires)
        return self._session.run_sync("tokens.create", "tokens.aio_create", lambda api: self._create(api, request))

    async def aio_create(self, name: str = "", *, scopes: Sequence[str], expires: Duration | None = None) -> NewToken:
        """Do as `create`."""
        request = _creation(name, scopes, expires)
        return await self._session.run_async(lambda api: self._create(api, request))

    def list(self) -> Tokens:
        """Give all tokens, newest first; those that ended are shown for 30 days more."""
        return self._session.run_sync("tokens.list", "tokens.aio_list", self._list)

    async def aio_list(self) -> Tokens:
        """Do as `list`."""
        return await self._session.run_async(self._list)

    def revoke(self, *token_ids: str) -> dict[str, Revoked]:
        """Refuse tokens from now on, and end their streams. Give id to "revoked", "already" or "unknown"."""
        return self._session.run_sync("tokens.revoke", "tokens.aio_revoke", lambda api: self._revoke(api, token_ids))

    async def aio_revoke(self, *token_ids: str) -> dict[str, Revoked]:
        """Do as `revoke`."""
        return await self._session.run_async(lambda api: self._revoke(api, token_ids))

    async def _create(self, api: Api, request: token_service_pb2.CreateTokenRequest) -> NewToken:
        made = await self._session.unary(api.tokens.CreateToken, request)
        return NewToken(Token.from_proto(made.token), made.secret)

    async def _list(self, api: Api) -> Tokens:
        request = token_service_pb2.ListTokensRequest(page_size=1000)
        found = await self._session.listed(api.tokens.ListTokens, request, lambda page: page.tokens)
        return [*map(Token.from_proto, found)]

    async def _revoke(self, api: Api, token_ids: Sequence[str]) -> dict[str, Revoked]:
        request = token_service_pb2.RevokeTokensRequest(token_ids=token_ids)
        answer = await self._session.unary(api.tokens.RevokeTokens, request)
        return {token_id: _REVOKED[outcome] for token_id, outcome in zip(token_ids, answer.outcomes, strict=True)}


Tokens = list[Token]
Revoked: TypeAlias = Literal["revoked", "already", "unknown"]


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise InvalidInput for what is no scope."""
    for scope in scopes:
        if scope not in SCOPES:
            raise InvalidInput(f"scope {scope!r}: one of {', '.join(SCOPES)} was expected", field="scopes")


def lifetime_ms(expires: Duration | None) -> int:
    """Read how long a token is to hold, in milliseconds; 0 is for ever. Raises InvalidInput."""
    if expires is None:
        return 0
    try:
        return to_milliseconds(expires, "expires")
    except (ValueError, TypeError) as error:
        raise InvalidInput(str(error), field="expires") from None


def _creation(name: str, scopes: Sequence[str], expires: Duration | None) -> token_service_pb2.CreateTokenRequest:
    check_scopes(scopes)
    return token_service_pb2.CreateTokenRequest(
        name=name,
        scopes=[token_pb2.TokenScope.Value(f"TOKEN_SCOPE_{scope.upper()}") for scope in scopes],
        ttl_ms=lifetime_ms(expires),
    )


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
