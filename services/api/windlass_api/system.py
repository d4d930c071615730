"""Owns the system service's call: what whoever looks for a fault needs to know of the engine."""

import time
from importlib.metadata import version
from typing import Any

from redis.exceptions import RedisError
from typing_extensions import override

from windlass.v1 import system_pb2, system_service_pb2, system_service_pb2_grpc
from windlass_core.domain.access import Principal, Scope
from windlass_core.rpc.guard import caller
from windlass_core.rpc.status import SCOPES, unary
from windlass_core.store.examination import Examination, examine
from windlass_core.store.shard import Shard

_PROTOCOL = "windlass.v1"


class SystemService(system_service_pb2_grpc.SystemServiceServicer):
    """See system_service.proto."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @override
    @unary
    async def GetSystem(
        self, request: system_service_pb2.GetSystemRequest, context: Any
    ) -> system_service_pb2.GetSystemResponse:
        """See system_service.proto."""
        answer = system_service_pb2.GetSystemResponse(
            engine_version=version("windlass-engine"), protocol=_PROTOCOL, caller=_to_caller(caller())
        )
        try:
            answer.store.CopyFrom(_to_store(await examine(self._shard.redis)))
        except (RedisError, OSError):
            pass  # told by its absence
        else:
            answer.scheduler_alive = await self._shard.scheduling.is_owned()
            if answer.caller.token_id:
                found = await self._shard.tokens.find(answer.caller.token_id)
                answer.caller.expires_at_ms = found.token.expires_ms if found.token else 0
        answer.now_ms = time.time_ns() // 1_000_000
        return answer


def _to_caller(principal: Principal) -> system_pb2.Caller:
    return system_pb2.Caller(
        namespace=principal.namespace,
        token_id=principal.token_id,
        scopes=[SCOPES[scope] for scope in Scope if scope in principal.scopes],
    )


def _to_store(found: Examination) -> system_pb2.StoreState:
    return system_pb2.StoreState(
        product=found.product,
        now_ms=found.now_ms,
        latency_us=found.latency_us,
        used_bytes=found.used_bytes,
        limit_bytes=found.limit_bytes,
        findings=[
            system_pb2.StoreFinding(fatal=each.fatal, said=each.said, remedy=each.remedy) for each in found.findings
        ],
    )
