"""Finds a dispatcher to connect to. Owns the question to the api and the memory of its last answer.

Leaves when to ask, and how long to wait between attempts, to the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from windlass.exceptions import NoDispatcher, Unauthorized
from windlass.transport.channel import call_metadata, open_channel
from windlass.transport.rpc_status import from_rpc_error
from windlass.v1 import run_service_pb2, run_service_pb2_grpc, worker_service_pb2
from windlass.v1 import worker_service_pb2_grpc as worker_service

if TYPE_CHECKING:
    from windlass.config import ClientConfig


class Dispatchers:
    """The dispatchers alive, as far as the api, or its last answer, tells. On the I/O thread."""

    def __init__(self, config: ClientConfig) -> None:
        """Ask the api that `config` names, unless it names a dispatcher."""
        self._config = config
        self._known: list[str] = []
        self._avoid = ""

    def avoid(self, address: str) -> None:
        """Put this one last when there are others: it is leaving, or has just failed."""
        self._avoid = address

    async def addresses(self) -> list[str]:
        """Give addresses to try, best first.

        Raises:
            ApiUnreachable: the api can't be reached, and never could.
            Unauthorized: the api refuses this worker's token.
            NoDispatcher: none is alive.

        """
        if self._config.dispatcher_address:
            return [self._config.dispatcher_address]
        try:
            self._known = await self._ask()
        except grpc.aio.AioRpcError as error:
            refused = from_rpc_error(error, self._config.api_address)
            # What was true a moment ago is better than nothing while the api is away.
            if not self._known or isinstance(refused, Unauthorized):
                raise refused from None
        if not self._known:
            raise NoDispatcher(f"the api at {self._config.api_address} knows of no dispatcher yet")
        return sorted(self._known, key=lambda address: address == self._avoid)

    async def cancel_run(self, run_id: str, reason: str) -> None:
        """Ask the api to cancel a run. Raises the error of the call."""
        async with open_channel(self._config.api_address, self._config) as channel:
            await run_service_pb2_grpc.RunServiceStub(channel).CancelRuns(
                run_service_pb2.CancelRunsRequest(run_ids=[run_id], reason=reason),
                metadata=call_metadata(self._config),
                timeout=self._config.connect_timeout,
            )

    async def _ask(self) -> list[str]:
        async with open_channel(self._config.api_address, self._config) as channel:
            answer = await worker_service.WorkerServiceStub(channel).ListDispatchers(
                worker_service_pb2.ListDispatchersRequest(),
                metadata=call_metadata(self._config),
                timeout=self._config.connect_timeout,
            )
        return list(answer.addresses)
