"""Two apis behind one address: a client leaves the one that dies, and comes back to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support.raw_client import open_door
from tests.support.worker_thread import running_worker
from windlass import ClientConfig, Windlass
from windlass.testing import start_engine
from windlass_core.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Long past this age when a test is half way through.
YOUNG = {"WINDLASS_CONNECTION_AGE": "0.2"}


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Give two apis."""
    with LocalCluster(apis=2) as cluster:
        yield cluster


def test_a_dead_api_is_left_and_found_again(cluster: LocalCluster) -> None:
    """Whichever of them is up serves the client, its session and its worker."""
    one, other = cluster.processes("api")
    addresses = ",".join(f"127.0.0.1:{each.ports['grpc']}" for each in (one, other))
    with Windlass(config=ClientConfig(api_address=f"ipv4:{addresses}", dispatcher_address="", token=None)) as app:

        @app.task
        def double(number: int) -> int:
            return number * 2

        with running_worker(app):
            assert double.run(1) == 2
            for dead in (one, other):
                dead.kill()
                assert [double.run(number) for number in range(5)] == [0, 2, 4, 6, 8]
                assert app.workers.list()
                dead.restart()


async def test_a_session_ends_when_its_connection_is_old() -> None:
    """So that its client, which goes on at once and loses nothing, may come to another api."""
    with start_engine(settings=YOUNG) as engine:
        async with Windlass(config=engine.config) as app, open_door(engine.api_address) as door:
            go_on = asyncio.Event()

            @app.task
            async def held(number: int) -> int:
                await go_on.wait()
                return number

            worker = app.worker("test")
            await worker.aio_start()
            result = asyncio.create_task(held.aio_run(3))
            async with asyncio.timeout(30):
                for _ in range(3):
                    session = door.runs.Session()
                    assert await session.read() is grpc.aio.EOF
                    assert await session.code() is grpc.StatusCode.OK
                go_on.set()
                assert await result == 3
            await worker.aio_stop()
