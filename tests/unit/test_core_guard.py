"""The gate before every handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.support.tokens import make_token
from windlass_core.domain import access
from windlass_core.domain.access import ANYBODY, Principal, Scope
from windlass_core.rpc import guard
from windlass_core.rpc.authentication import Authentication
from windlass_core.rpc.guard import Guard, caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from windlass_core.store.shard import Shard

READ = "/test.Test/Read"
NEW = "/test.Test/New"


@pytest.fixture
async def channel(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Give a way to a server with two methods, one of which is in the table."""
    table = {**access.NEEDED, READ: frozenset({Scope.READ})}
    monkeypatch.setattr(guard, "NEEDED", table)

    async def told(_request: bytes, _context: Any) -> bytes:
        return caller().namespace.encode()

    async def generated(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        yield caller().namespace.encode()

    handlers: dict[str, Any] = {
        "Read": grpc.unary_unary_rpc_method_handler(told),
        "New": grpc.unary_stream_rpc_method_handler(generated),
    }
    server = grpc.aio.server(interceptors=(Guard(Authentication(shard.tokens, required=False)),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


async def test_a_handler_knows_its_caller(channel: Any, shard: Shard) -> None:
    """Whose namespace is the token's, or the default one where no token is asked for."""
    assert await channel.unary_unary(READ)(b"") == ANYBODY.namespace.encode()
    text, _ = await make_token(shard, Scope.READ, namespace="acme")
    assert await channel.unary_unary(READ)(b"", metadata=(("authorization", f"Bearer {text}"),)) == b"acme"


async def test_a_method_that_is_in_no_table_is_refused_to_everybody(channel: Any, shard: Shard) -> None:
    """An admin, and anybody where no token is asked for: until somebody has said which scope it needs."""
    text, _ = await make_token(shard)
    for metadata in ((), (("authorization", f"Bearer {text}"),)):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_stream(NEW)(b"", metadata=metadata).read()
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/test.Test/Nothing")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_handler_that_generates_is_served_with_a_token(
    channel: Any, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is without."""
    monkeypatch.setattr(guard, "NEEDED", {NEW: frozenset({Scope.READ})})
    text, _ = await make_token(shard, Scope.READ, namespace="acme")
    call = channel.unary_stream(NEW)(b"", metadata=(("authorization", f"Bearer {text}"),))
    assert [answer async for answer in call] == [b"acme"]


@pytest.mark.parametrize("scope", Scope)
def test_admin_may_do_all_and_any_other_only_its_own(scope: Scope) -> None:
    """The scopes that are needed are alternatives."""
    alone = Principal("acme", frozenset({scope}))
    for needed in access.NEEDED.values():
        assert alone.has(needed) == (scope in needed or scope is Scope.ADMIN)
