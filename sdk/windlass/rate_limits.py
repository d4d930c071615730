"""Owns `app.rate_limits`: put, list and delete the limits that tasks name as `RateLimit(static_key=…)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from windlass.exceptions import InvalidInput
from windlass.rate_limit import MOST_UNITS, RateLimitDuration, window_ms
from windlass.v1 import rate_limit_pb2, rate_limit_service_pb2

if TYPE_CHECKING:
    from windlass.duration import Duration
    from windlass.transport.session import Api, ClientSession


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """A limit as it stands: `used` units of the window that ends at `window_ends_at`, None where none is."""

    key: str
    limit: int
    duration: timedelta
    used: int
    window_ends_at: datetime | None

    @classmethod
    def from_proto(cls, state: rate_limit_pb2.RateLimitState) -> Self:
        """Read it from the wire."""
        setting, end = state.setting, state.window_ends_at_ms
        return cls(
            key=setting.key,
            limit=setting.limit,
            duration=timedelta(milliseconds=setting.window_ms),
            used=state.used,
            window_ends_at=datetime.fromtimestamp(end / 1000, UTC) if end else None,
        )


class RateLimitsClient:
    """The named limits of the namespace. Every method has an `aio_` twin."""

    def __init__(self, session: ClientSession) -> None:
        """Speak over the client's session."""
        self._session = session

    def put(self, key: str, limit: int, duration: RateLimitDuration | Duration = RateLimitDuration.MINUTE) -> None:
        """Make a limit, or replace the one of that name. Needs the scope admin.

        Args:
            key: its name: letters, digits and ._:/-
            limit: units per window, from 1 up.
            duration: length of the window, a second to 366 days.

        Raises:
            InvalidInput: one of them is not so; names it.
            MissingScope: the token does not allow it.

        """
        request = _put_request(key, limit, duration)
        self._session.run_sync("rate_limits.put", "rate_limits.aio_put", lambda api: self._put(api, request))

    async def aio_put(
        self, key: str, limit: int, duration: RateLimitDuration | Duration = RateLimitDuration.MINUTE
    ) -> None:
        """Do as `put`."""
        request = _put_request(key, limit, duration)
        await self._session.run_async(lambda api: self._put(api, request))

    def list(self) -> RateLimits:
        """Give all named limits, by name. Raises ApiUnreachable."""
        return self._session.run_sync("rate_limits.list", "rate_limits.aio_list", self._list)

    async def aio_list(self) -> RateLimits:
        """Do as `list`."""
        return await self._session.run_async(self._list)

    def delete(self, key: str) -> None:
        """Delete a limit: submits of tasks that name it are refused, a second later at the latest.

        Runs that wait for it go on waiting until it is put again. Needs the scope admin.

        Raises:
            NotFound: there is no limit of that name.
            MissingScope: the token does not allow it.

        """
        self._session.run_sync("rate_limits.delete", "rate_limits.aio_delete", lambda api: self._delete(api, key))

    async def aio_delete(self, key: str) -> None:
        """Do as `delete`."""
        await self._session.run_async(lambda api: self._delete(api, key))

    async def _put(self, api: Api, request: rate_limit_service_pb2.PutRateLimitRequest) -> None:
        await self._session.unary(api.rate_limits.PutRateLimit, request)

    async def _list(self, api: Api) -> RateLimits:
        request = rate_limit_service_pb2.ListRateLimitsRequest(page_size=1000)
        found = await self._session.listed(api.rate_limits.ListRateLimits, request, lambda page: page.limits)
        return [*map(RateLimitState.from_proto, found)]

    async def _delete(self, api: Api, key: str) -> None:
        request = rate_limit_service_pb2.DeleteRateLimitRequest(key=key)
        await self._session.unary(api.rate_limits.DeleteRateLimit, request)


RateLimits = list[RateLimitState]


def _put_request(
    key: str, limit: int, duration: RateLimitDuration | Duration
) -> rate_limit_service_pb2.PutRateLimitRequest:
    if type(limit) is not int or not 1 <= limit <= MOST_UNITS:
        raise InvalidInput(f"limit={limit!r}: a whole number from 1 to {MOST_UNITS:,} was expected", field="limit")
    try:
        window = window_ms(duration)
    except (ValueError, TypeError) as error:
        raise InvalidInput(str(error), field="duration") from None
    setting = rate_limit_pb2.RateLimitSetting(key=key, limit=limit, window_ms=window)
    return rate_limit_service_pb2.PutRateLimitRequest(limit=setting)
