"""Owns tokens straight in the store: the way to the first one, and to those of any namespace.

For `windlass token --store`, on a machine that reaches the store: whoever does may do all anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from windlass.v1 import token_pb2
from windlass_core.domain.access import Scope
from windlass_core.domain.errors import EngineError
from windlass_core.domain.names import check_namespace
from windlass_core.domain.token import is_token_id, token_name
from windlass_core.settings import ServiceSettings, SettingsRefused, read_settings
from windlass_core.store.connection import StoreRefused, refuse_unfit
from windlass_core.store.shard import Shard
from windlass_core.store.tokens import Revoked
from windlass_core.tls import TlsRefused
from windlass_core.token_message import token_message

T = TypeVar("T")

_PAGE = 1000


class DeskRefused(Exception):
    """What was asked for can't be done; the message says why."""


class TokenDesk:
    """The tokens of one namespace, in the store that the settings name. Every method raises DeskRefused."""

    refused = DeskRefused

    def __init__(self, namespace: str) -> None:
        try:
            self._namespace = check_namespace(namespace, "namespace")
            self._settings = read_settings(ServiceSettings)
        except (EngineError, SettingsRefused) as error:
            raise DeskRefused(str(error)) from error

    def create(self, name: str, scopes: Sequence[str], ttl_ms: int) -> tuple[token_pb2.Token, str]:
        """A new token, and its text. `ttl_ms` 0: it never expires."""

        async def create(shard: Shard) -> tuple[token_pb2.Token, str]:
            wanted = frozenset(Scope(scope) for scope in scopes)
            stored, text = await shard.tokens.make(self._namespace, name=name, scopes=wanted, ttl_ms=ttl_ms)
            return token_message(stored), text

        return self._at_the_store(create)

    def knows(self, text: str) -> bool:
        """Whether a token of the namespace has that text, and holds."""

        async def knows(shard: Shard) -> bool:
            name = token_name(text)
            if name is None:
                return False
            found = await shard.tokens.find(name.id)
            token = found.token
            if token is None or (token.digest, token.namespace) != (name.digest, self._namespace):
                return False
            return not token.revoked_ms and not 0 < token.expires_ms <= found.now_ms

        return self._at_the_store(knows)

    def list(self) -> list[token_pb2.Token]:
        """All tokens, newest first."""

        async def all_pages(shard: Shard) -> list[token_pb2.Token]:
            places = range(0, await shard.tokens.count(self._namespace), _PAGE)
            pages = [await shard.tokens.page(self._namespace, first, _PAGE) for first in places]
            return [token_message(token) for page in pages for token in page]

        return self._at_the_store(all_pages)

    def revoke(self, token_ids: Sequence[str]) -> Sequence[Revoked]:
        """Ends tokens: `revoked`, `already` or `unknown` for each."""
        for place, token_id in enumerate(token_ids):
            if not is_token_id(token_id):  # perhaps the secret itself: not shown
                raise DeskRefused(f"token_ids[{place}]: expected an id like tk_0123456789abcdef0123")
        return self._at_the_store(lambda shard: shard.tokens.revoke(self._namespace, list(token_ids)))

    def _at_the_store(self, do: Callable[[Shard], Awaitable[T]]) -> T:
        async def done() -> T:
            shard = Shard(self._settings.store_url, self._settings.store_tls)
            try:
                # What is less than right there is for the services to log: stdout is the token's.
                await refuse_unfit(shard.redis, self._settings.store_url)
                return await do(shard)
            finally:
                await shard.close()

        try:
            self._settings.store_tls.check()
            return asyncio.run(done())
        except (EngineError, StoreRefused, TlsRefused) as error:
            raise DeskRefused(str(error)) from error
