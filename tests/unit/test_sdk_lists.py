"""Lists of the SDK are read page by page, up to their limit."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.config import ClientConfig
from windlass.transport.session import ClientSession
from windlass.v1 import schedule_service_pb2


class Crons:
    """An api that has so many crons, and gives a page of at most 1000."""

    def __init__(self, count: int) -> None:
        self.page_sizes: list[int] = []
        self._count = count

    async def __call__(
        self, request: schedule_service_pb2.ListCronsRequest, **_rest: Any
    ) -> schedule_service_pb2.ListCronsResponse:
        self.page_sizes.append(request.page_size)
        first = int(request.page_token or "0")
        page = schedule_service_pb2.ListCronsResponse()
        for number in range(first, min(first + (request.page_size or 100), self._count)):
            page.crons.add(cron_id=str(number))
            page.next_page_token = str(number + 1) if number + 1 < self._count else ""
        return page


@pytest.mark.parametrize(
    ("limit", "given", "page_sizes"),
    [
        (None, 2500, [0] * 25),
        (0, 0, []),
        (1, 1, [1]),
        (1000, 1000, [1000]),
        (2400, 2400, [1000, 1000, 400]),
        (9000, 2500, [1000, 1000, 1000]),
    ],
)
async def test_a_list_asks_for_no_more_than_is_wanted(limit: int | None, given: int, page_sizes: list[int]) -> None:
    """Each page goes on where the one before ended."""
    api: Any = Crons(2500)
    session = ClientSession(ClientConfig())
    found = await session.listed(
        api, schedule_service_pb2.ListCronsRequest(), lambda page: [cron.cron_id for cron in page.crons], limit
    )
    assert found == [str(number) for number in range(given)]
    assert api.page_sizes == page_sizes
