"""Owns the Token message: what others see of a token."""

from windlass.v1 import token_pb2
from windlass_core.domain.access import Scope
from windlass_core.domain.token import StoredToken
from windlass_core.rpc.status import SCOPES


def token_message(token: StoredToken) -> token_pb2.Token:
    """A token without its secret, which nobody knows."""
    return token_pb2.Token(
        token_id=token.token_id,
        name=token.name,
        scopes=[SCOPES[scope] for scope in Scope if scope in token.scopes],
        created_at_ms=token.created_ms,
        expires_at_ms=token.expires_ms,
        revoked_at_ms=token.revoked_ms,
    )
