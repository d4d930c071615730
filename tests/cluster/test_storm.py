"""A storm: faults of all kinds, in an order drawn by lot, one after the other under load."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.history import check
from tests.support.ordeal import SHORT_SESSIONS, Ordeal
from tests.support.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from windlass_core.local import Process, ProcessName

RUNS = 10_000
#: Longest time that a process stands still: longer than a session, and than owning the shard.
LONGEST_STOP_S = 4.0

# A history of faults is repeated with the seed that it names.
SEED = int(os.environ.get("STORM_SEED", "0")) or random.randrange(1, 2**31)


#: Nobody loses a session to what others suffer.
LONG_SESSIONS = {"WINDLASS_SESSION_TTL": "90"}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_nothing_is_lost_in_a_storm(tmp_path: Path) -> None:
    """Whatever goes, and in whatever order, each run ends once."""
    with Ordeal(tmp_path, dispatchers=2, schedulers=2, settings=SHORT_SESSIONS) as ordeal:
        storm = _Storm(ordeal)
        storm.rage([storm.kill, storm.stop, storm.cut, storm.replace_a_worker])
        # Whoever could not renew its session in time has lost its work.
        history = ordeal.history(any_worker_may_be_lost=True)
        assert check(history) == [], f"STORM_SEED={SEED}"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_nothing_is_repeated_in_a_storm_that_spares_the_workers(tmp_path: Path) -> None:
    """While the sessions live, no attempt is executed twice."""
    with Ordeal(tmp_path, dispatchers=2, schedulers=2, settings=LONG_SESSIONS) as ordeal:
        storm = _Storm(ordeal)
        storm.rage([storm.kill, storm.stop, storm.cut])
        assert check(ordeal.history()) == [], f"STORM_SEED={SEED}"


class _Storm:
    """A cluster under load, and what befalls it."""

    def __init__(self, ordeal: Ordeal) -> None:
        self._ordeal = ordeal
        self._chance = random.Random(SEED)
        self._worker = ordeal.workers("steady", "replaced")[1]
        self._replaced = 0
        self._way: TcpProxy | None = None

    def rage(self, faults: Sequence[Callable[[], None]]) -> None:
        """One fault after the other, until all work is done."""
        with TcpProxy(self._ordeal.cluster.api_address) as self._way:
            work = self._ordeal.call(RUNS, milliseconds=100, api_address=self._way.address)
            self._ordeal.until_begun(100)
            while not work.done():
                self._chance.choice(faults)()
                time.sleep(self._chance.uniform(0, 0.5))

    def cut(self) -> None:
        """The caller's connection breaks."""
        assert self._way is not None
        self._way.drop()

    def kill(self) -> None:
        """A process of the engine dies, and comes back."""
        process = self._any_process()
        process.kill()
        time.sleep(self._chance.uniform(0, 1))
        process.restart()

    def stop(self) -> None:
        """A process of the engine stands still for a while."""
        process = self._any_process()
        process.send(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0, LONGEST_STOP_S))
        process.send(signal.SIGCONT)

    def replace_a_worker(self) -> None:
        """A worker dies; another one comes."""
        self._worker.kill()
        self._replaced += 1
        self._worker = self._ordeal.worker(f"replaced-{self._replaced}")

    def _any_process(self) -> Process:
        services: Sequence[ProcessName] = ("store", "api", "dispatcher", "dispatcher", "scheduler", "scheduler")
        return self._chance.choice(self._ordeal.cluster.processes(self._chance.choice(services)))
