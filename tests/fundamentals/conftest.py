"""One engine for all of these tests, and a worker for those that want one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from windlass import Windlass
from windlass.testing import Engine, start_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from windlass import Worker
    from windlass.placement import LabelValue


class Serving(Protocol):
    """`async with serving(app):` runs a worker in this process."""

    def __call__(
        self,
        app: Windlass,
        slots: int = 10,
        lifespan: Callable[[], AsyncIterator[Any]] | None = None,
        *,
        pools: Mapping[str, int] | None = None,
        labels: Mapping[str, LabelValue] | None = None,
    ) -> AbstractAsyncContextManager[Worker]: ...


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Give them an engine."""
    with start_engine() as running:
        yield running


@pytest.fixture
async def app(engine: Engine) -> AsyncIterator[Windlass]:
    """Give each test an application of its own."""
    async with Windlass(config=engine.config) as made:
        yield made


@pytest.fixture
def serving() -> Serving:
    """Give a way to run a worker for the length of a block."""

    @asynccontextmanager
    async def serve(
        app: Windlass,
        slots: int = 10,
        lifespan: Callable[[], AsyncIterator[Any]] | None = None,
        *,
        pools: Mapping[str, int] | None = None,
        labels: Mapping[str, LabelValue] | None = None,
    ) -> AsyncIterator[Worker]:
        worker = app.worker("fundamentals", slots=slots, lifespan=lifespan, pools=pools, labels=labels)
        await worker.aio_start()
        assert await asyncio.to_thread(worker.wait_ready, 30)
        try:
            yield worker
        finally:
            await worker.aio_stop()

    return serve
