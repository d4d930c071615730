"""Owns the connections of the hot path: each is one caller's from its command to the reply.

They are redis-py's own connections, with its parser, TLS, authentication and errors. Its client and
pool are left out: per command they cost as much as everything else that a service does for a run.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

_pack: Any = hiredis.pack_command


class Links:
    """As many connections as there are commands at once, up to `most`; then they wait for each other."""

    def __init__(self, pool: "ConnectionPool", most: int) -> None:
        self._make: Any = pool.make_connection
        self._places = asyncio.Semaphore(most)
        self._idle: list[Any] = []
        self._closed = False

    async def ask(self, *command: str | bytes | float, patience_s: float) -> Any:
        """The reply to one command; strings come as bytes.

        Raises RedisError and OSError. After any but a reply that is an error the command may have
        been carried out, or not.
        """
        try:
            async with asyncio.timeout(patience_s), self._places:
                return await self._ask(_pack(command))
        except TimeoutError:
            raise exceptions.TimeoutError(f"no reply within {patience_s:g} s") from None

    async def close(self) -> None:
        """Closes all of them; those in use as soon as they are free. May be called twice."""
        self._closed = True
        while self._idle:
            await self._idle.pop().disconnect()

    async def _ask(self, packed: bytes) -> Any:
        link = self._idle.pop() if self._idle else self._make()
        try:
            # The store may have closed it while nobody looked.
            if link.is_connected and await link.can_read():
                await link.disconnect(nowait=True)
            await link.send_packed_command(packed, check_health=False)
            reply = await link.read_response()
        except exceptions.ReadOnlyError:
            # Who answers is no primary any more, but the name that was connected to may be another's by now.
            others, self._idle = self._idle, []
            for each in (link, *others):
                await each.disconnect(nowait=True)
            raise
        except exceptions.ResponseError:
            await self._put_back(link)
            raise
        except BaseException:
            await link.disconnect(nowait=True)
            raise
        await self._put_back(link)
        return reply

    async def _put_back(self, link: Any) -> None:
        if self._closed:
            await link.disconnect()
        else:
            self._idle.append(link)
