"""Owns the token service's calls."""

from typing import Any

from typing_extensions import override

from windlass.v1 import token_service_pb2, token_service_pb2_grpc
from windlass_api.paging import page_size, read_place
from windlass_core.domain.access import Scope
from windlass_core.domain.definition import check_duration
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_NAME_LENGTH, check_count
from windlass_core.domain.token import is_token_id
from windlass_core.rpc.guard import caller
from windlass_core.rpc.status import SCOPES, unary
from windlass_core.store.tokens import Revoked, Tokens
from windlass_core.token_message import token_message

_BY_NUMBER: dict[int, Scope] = {number: scope for scope, number in SCOPES.items()}

_OUTCOMES: dict[Revoked, "token_service_pb2.RevokeOutcome.ValueType"] = {
    "revoked": token_service_pb2.REVOKE_OUTCOME_REVOKED,
    "already": token_service_pb2.REVOKE_OUTCOME_ALREADY_REVOKED,
    "unknown": token_service_pb2.REVOKE_OUTCOME_UNKNOWN_TOKEN,
}


class TokenService(token_service_pb2_grpc.TokenServiceServicer):
    """See token_service.proto."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @override
    @unary
    async def CreateToken(
        self, request: token_service_pb2.CreateTokenRequest, context: Any
    ) -> token_service_pb2.CreateTokenResponse:
        """See token_service.proto."""
        if len(request.name) > MAX_NAME_LENGTH:
            raise InvalidField(f"name: over {MAX_NAME_LENGTH} characters", "name")
        scopes = _check_scopes(list(request.scopes))
        ttl_ms = check_duration(request.ttl_ms, "ttl_ms")
        stored, text = await self._tokens.make(caller().namespace, name=request.name, scopes=scopes, ttl_ms=ttl_ms)
        return token_service_pb2.CreateTokenResponse(token=token_message(stored), secret=text)

    @override
    @unary
    async def ListTokens(
        self, request: token_service_pb2.ListTokensRequest, context: Any
    ) -> token_service_pb2.ListTokensResponse:
        """See token_service.proto."""
        most = page_size(request.page_size)
        first = read_place(request.page_token or "0")
        namespace = caller().namespace
        stored = await self._tokens.page(namespace, first, most)
        more = await self._tokens.count(namespace) > first + most
        return token_service_pb2.ListTokensResponse(
            tokens=[token_message(token) for token in stored],
            next_page_token=str(first + most) if more else "",
        )

    @override
    @unary
    async def RevokeTokens(
        self, request: token_service_pb2.RevokeTokensRequest, context: Any
    ) -> token_service_pb2.RevokeTokensResponse:
        """See token_service.proto."""
        check_count(request.token_ids, "token_ids")
        for place, token_id in enumerate(request.token_ids):
            if not is_token_id(token_id):
                # It may be the secret itself: not shown.
                field = f"token_ids[{place}]"
                raise InvalidField(f"{field}: expected an id like tk_0123456789abcdef0123", field)
        outcomes = await self._tokens.revoke(caller().namespace, list(request.token_ids))
        return token_service_pb2.RevokeTokensResponse(outcomes=[_OUTCOMES[outcome] for outcome in outcomes])


def _check_scopes(numbers: list[int]) -> frozenset[Scope]:
    if not numbers:
        raise InvalidField("scopes: expected at least one", "scopes")
    for place, number in enumerate(numbers):
        if number not in _BY_NUMBER:
            field = f"scopes[{place}]"
            raise InvalidField(f"{field}: expected one of {', '.join(Scope)}, got {number}", field)
    return frozenset(_BY_NUMBER[number] for number in numbers)
