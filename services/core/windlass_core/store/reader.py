"""Owns plain reads: one command, or many in one round trip. Writes go through scripts."""

from typing import TYPE_CHECKING, Any

from windlass_core.store.failures import store_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis


class Reader:
    """Reads of one shard. Strings come as bytes. Both methods raise StoreUnavailable."""

    def __init__(self, redis: "Redis") -> None:
        self._redis: Any = redis

    async def one(self, *command: str | int) -> Any:
        """The reply to one command."""
        with store_errors():
            return await self._redis.execute_command(*command)

    async def many(self, commands: "Sequence[tuple[str | int, ...]]") -> list[Any]:
        """The replies to commands, in their order."""
        if not commands:
            return []
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                replies: list[Any] = await pipe.execute()
        return replies
