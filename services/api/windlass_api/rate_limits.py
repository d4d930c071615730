"""Owns the rate limit service's calls."""

from typing import Any

from typing_extensions import override

from windlass.v1 import rate_limit_pb2, rate_limit_service_pb2, rate_limit_service_pb2_grpc
from windlass_api.paging import page_by_name
from windlass_core.domain.errors import NotFound
from windlass_core.domain.gates import check_limit, check_window
from windlass_core.domain.names import check_name
from windlass_core.rpc.guard import caller
from windlass_core.rpc.status import unary
from windlass_core.store.rate_limits import RateLimits, StoredRateLimit


class RateLimitService(rate_limit_service_pb2_grpc.RateLimitServiceServicer):
    """See rate_limit_service.proto."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    @override
    @unary
    async def PutRateLimit(
        self, request: rate_limit_service_pb2.PutRateLimitRequest, context: Any
    ) -> rate_limit_service_pb2.PutRateLimitResponse:
        """See rate_limit_service.proto."""
        setting = request.limit
        created = await self._limits.put(
            caller().namespace,
            check_name(setting.key, "limit.key"),
            check_limit(setting.limit, "limit.limit"),
            check_window(setting.window_ms, "limit.window_ms"),
        )
        return rate_limit_service_pb2.PutRateLimitResponse(created=created)

    @override
    @unary
    async def ListRateLimits(
        self, request: rate_limit_service_pb2.ListRateLimitsRequest, context: Any
    ) -> rate_limit_service_pb2.ListRateLimitsResponse:
        """See rate_limit_service.proto."""
        stored = await self._limits.all(caller().namespace)
        shown, token = page_by_name(stored, lambda limit: limit.name, request.page_size, request.page_token)
        return rate_limit_service_pb2.ListRateLimitsResponse(limits=map(_to_state, shown), next_page_token=token)

    @override
    @unary
    async def DeleteRateLimit(
        self, request: rate_limit_service_pb2.DeleteRateLimitRequest, context: Any
    ) -> rate_limit_service_pb2.DeleteRateLimitResponse:
        """See rate_limit_service.proto."""
        if not await self._limits.delete(caller().namespace, check_name(request.key, "key")):
            raise NotFound(f"key: there is no rate limit {request.key!r}", "key")
        return rate_limit_service_pb2.DeleteRateLimitResponse()


def _to_state(limit: StoredRateLimit) -> rate_limit_pb2.RateLimitState:
    setting = rate_limit_pb2.RateLimitSetting(key=limit.name, limit=limit.limit, window_ms=limit.window_ms)
    return rate_limit_pb2.RateLimitState(setting=setting, used=limit.used, window_ends_at_ms=limit.resets_ms)
