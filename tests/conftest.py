"""Fixtures of all tests."""

from tests.support.leaks import no_leaked_keys
from tests.support.store import shard, store_server, store_url, world
from windlass.testing import engine

__all__ = ["engine", "no_leaked_keys", "shard", "store_server", "store_url", "world"]
