"""Owns private engines for tests. Leaves mocks to `Task.mock_run`, and the cluster to the engine.

    from windlass import Windlass
    from windlass.testing import start_engine

    with start_engine() as engine:
        app = Windlass(config=engine.config)

With pytest, `from windlass.testing import engine` in a conftest.py makes that a fixture.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windlass.config import ClientConfig
from windlass.engine import LocalCluster, local_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Engine", "engine", "start_engine"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine of one's own.

    Attributes:
        config: what `Windlass(config=...)` takes to talk to it.
        cluster: its store and services, to look at or to kill.

    """

    config: ClientConfig
    cluster: LocalCluster

    @property
    def api_address(self) -> str:
        """Where its api listens, as "host:port"."""
        return self.cluster.api_address


@contextmanager
def start_engine(*, data_dir: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """Run a private engine for the length of a `with`: an empty store and the three services.

    Takes about a second. Listens on free ports of the loopback interface only.

    Args:
        data_dir: where the store keeps its data; left out, a temporary folder that is removed.
        settings: WINDLASS_* settings for its services.

    Raises:
        EngineNotInstalled: only the SDK is installed.

    """
    with local_cluster()(data_dir=data_dir, settings=settings) as cluster:
        # Every field that the environment could turn elsewhere is set.
        config = ClientConfig(api_address=cluster.api_address, dispatcher_address="", token=None, token_file=None)
        yield Engine(config, cluster)


try:
    import pytest
except ImportError:  # start_engine() needs no pytest
    pass
else:

    @pytest.fixture
    def engine() -> Iterator[Engine]:
        """Give a test an engine of its own."""
        with start_engine() as running:
            yield running
