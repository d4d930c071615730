"""One cluster for all of these tests, and its doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.raw_client import Door, open_door
from windlass_core.local import LocalCluster
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Give a store and the three services, each a process."""
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
async def api(cluster: LocalCluster) -> AsyncIterator[Door]:
    """Give the api's door."""
    async with open_door(cluster.api_address) as door:
        yield door


@pytest.fixture
async def dispatcher(cluster: LocalCluster) -> AsyncIterator[Door]:
    """Give the dispatcher's door."""
    (process,) = cluster.processes("dispatcher")
    async with open_door(f"127.0.0.1:{process.ports['grpc']}") as door:
        yield door


@pytest.fixture
async def task(api: Door) -> str:
    """Give the name of a registered task that no other test uses."""
    name = f"task-{mint_id()}"
    await api.register(name)
    return name


@pytest.fixture
async def api_of_impatient() -> AsyncIterator[tuple[Door, Door]]:
    """Give the doors of a cluster whose dispatcher waits 0.2 s for an accept."""
    with LocalCluster(settings={"WINDLASS_ACCEPT_TIMEOUT": "0.2"}) as cluster:
        (process,) = cluster.processes("dispatcher")
        address = f"127.0.0.1:{process.ports['grpc']}"
        async with open_door(cluster.api_address) as api, open_door(address) as dispatcher:
            yield api, dispatcher
