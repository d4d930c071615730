"""Owns which keys may be left when all runs have ended and their retention has run out.

What belongs to the namespace stays; what belongs to a worker, a group or a process stays while that is alive.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.store_keys import PREFIX, Key, StoreKeys
from windlass_core.domain.names import DEFAULT_NAMESPACE
from windlass_core.store.keys import FAMILIES
from windlass_core.store.scripts import pack, script_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Families that stay, by what keys.py says of their lives.
STAYS: Final = frozenset(
    {
        "always",
        "with the processes",
        "until resumed",
        "until deleted, or its window's end",
        "until deleted",
        "with the crons",
    }
)
_LIVES: Final = {family.name: family.lives for family in FAMILIES}
_OF_WORKERS: Final = frozenset({"worker"})
_OF_GROUPS: Final = frozenset({"group", "group_tasks", "group_workers", "free"})
_OF_ANY_WORKER: Final = frozenset({"workers", "sessions", "groups"})
_OF_THEIR_TIME: Final = frozenset({"idempotency", "budget"})
_OF_PROCESSES: Final = frozenset({"inbox", "outbox"})

SETTLE_SECONDS: Final = 5.0


@pytest.fixture(autouse=True)
def no_leaked_keys(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that uses an `engine` and leaves keys behind in its store."""
    engine = request.getfixturevalue("engine") if "engine" in request.fixturenames else None
    yield
    if engine is not None:
        leaked = leaks_after_retention(engine.cluster.store_url)
        assert not leaked, f"keys that have outlived their time: {leaked}"


def leaked_keys(store: StoreKeys) -> list[str]:
    """The keys that have outlived what they belong to."""
    workers = store.members("sess")
    groups = {store.field(f"w:{worker}", "group") for worker in workers}
    alive = {inc for service in ("api", "dispatcher") for inc in store.members(f"pres:{service}")}

    def may_stay(key: Key) -> bool:
        if key.family in _OF_WORKERS:
            return key.parts["worker"] in workers
        if key.family in _OF_GROUPS:
            return key.parts["group"] in groups
        if key.family in _OF_ANY_WORKER:
            return bool(workers)
        if key.family in _OF_PROCESSES:
            return key.parts["inc"] in alive
        if key.family == "timers":
            return store.members("T") == ["crons:"]
        if key.family in _OF_THEIR_TIME:
            return bool(store.redis.pttl(key.name) > 0)
        return _LIVES[key.family] in STAYS

    return [key.name for key in store.all() if not may_stay(key)]


def leaks_after_retention(url: str, seconds: float = SETTLE_SECONDS) -> Sequence[str]:
    """Cancel what has not ended, run the retention out, and tell what is left that must not be.

    What is under way, an acknowledgement or a worker's goodbye, gets so many seconds to be done.
    """
    deadline = time.monotonic() + seconds
    with StoreKeys(url) as store:
        while True:
            _cancel_all(store)
            store.expire_all()
            leaked = leaked_keys(store)
            if not leaked or time.monotonic() > deadline:
                return leaked
            time.sleep(0.01)


def _cancel_all(store: StoreKeys) -> None:
    runs = store.members(f"ix:{DEFAULT_NAMESPACE}")
    for first in range(0, len(runs), 1000):
        request = (DEFAULT_NAMESPACE, "the test is over", runs[first : first + 1000])
        store.redis.eval(script_text("run_cancel"), 1, PREFIX, pack(request))
