"""Owns finding the engine where it is installed, by entry point. Never imports it by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

from windlass.exceptions import EngineNotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

#: The entry point group under which the engine offers its services and its local cluster.
ENTRY_POINT_GROUP: Final = "windlass.engine"


class LocalCluster(Protocol):
    """A whole engine on this machine: a store and the three services, each a real process."""

    api_address: str
    http_address: str
    store_url: str

    def __init__(  # the engine's own class has more of them
        self,
        *,
        data_dir: Path | None = None,
        api_port: int = 0,
        dispatcher_port: int = 0,
        http_port: int = 0,
        settings: Mapping[str, str] | None = None,
        log_level: str = "WARNING",
    ) -> None:
        """See the engine's class."""

    def start(self) -> None:
        """Return when all of it takes work."""

    def supervise(self, say: Callable[[str], None]) -> None:
        """Start again what ends by a fault of its own; `say` is told, in another thread."""

    def stop(self) -> None:
        """End all of it. May be called again, and before the start."""

    def __enter__(self) -> Self:
        """Start it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""


def load(name: str) -> Any:
    """Return what the engine offers under `name`; raises EngineNotInstalled."""
    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return entry_point.load()
    raise EngineNotInstalled('the engine is not installed here; install it with: pip install "windlass[engine]"')


def local_cluster() -> type[LocalCluster]:
    """Return the engine's LocalCluster; raises EngineNotInstalled."""
    return cast("type[LocalCluster]", load("local"))
