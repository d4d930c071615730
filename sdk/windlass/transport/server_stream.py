"""Owns a stream of the api's that is opened again where it breaks. Whoever reads it says from where on."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import grpc.aio

from windlass.transport.rpc_status import from_rpc_error
from windlass.transport.session import FIRST_DELAY, LONGEST_DELAY, may_pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.transport.session import ClientSession

_Response = TypeVar("_Response")
_log = logging.getLogger("windlass.session")


class ServerStream(Generic[_Response]):
    """Responses, one by one. Lives on the I/O thread; made on any."""

    def __init__(self, session: ClientSession, start: Callable[[], grpc.aio.UnaryStreamCall[Any, _Response]]) -> None:
        """Begin each time with `start()`, which asks for what has not been read yet."""
        self._session: Final = session
        self._start: Final = start
        self._call: grpc.aio.UnaryStreamCall[Any, _Response] | None = None
        self._was_connected = False

    async def read(self) -> _Response | None:
        """Give the next response, None at the end. Waits for an api that is away.

        Raises:
            WindlassError: the api refuses, or has not been there within the connect timeout.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._session.connect_timeout
        delay = FIRST_DELAY
        while True:
            if self._call is None:
                self._call = self._start()
            try:
                response = await self._call.read()
            except grpc.aio.AioRpcError as error:
                self._call = None
                pause = random.uniform(delay / 2, delay)
                given_up = not self._was_connected and loop.time() + pause > deadline
                typed = from_rpc_error(error, self._session.address)
                if given_up or not may_pass(error.code(), typed):
                    raise typed from None
                if self._was_connected and delay == FIRST_DELAY:
                    _log.info(
                        "lost the api at %s (%s): going on when it is back", self._session.address, error.details()
                    )
            else:
                self._was_connected = True
                # grpc.aio.EOF is typed as if it were a response
                return None if response is grpc.aio.EOF else cast("_Response", response)
            await asyncio.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)

    def close(self) -> None:
        """End it, also while it is being read. On the I/O thread."""
        if self._call is not None:
            self._call.cancel()
