"""Crons with three schedulers, of which some stand still, die, or all believe that they own the shard."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.doctoring import FENCES, doctored
from tests.support.history import History, Indexes, Tick, broken_rules, check
from tests.support.store_keys import StoreKeys
from tests.support.until import until
from tests.support.worker_thread import running_worker
from windlass import ClientConfig, Context, Windlass
from windlass_core.local import LocalCluster, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Services say which incarnation they are.
TALKATIVE = {"WINDLASS_LOG_LEVEL": "INFO"}
CRONS = 20


class Ticking:
    """Crons that are due every second, and the ticks that their task has seen."""

    def __init__(self, cluster: LocalCluster) -> None:
        """Make an app with the task; nothing is sent."""
        self.cluster = cluster
        self.app = Windlass(config=ClientConfig(api_address=cluster.api_address, dispatcher_address="", token=None))
        self._seen: list[Tick] = []
        self._lock = threading.Lock()

        @self.app.task(name="tick")
        def tick(ctx: Context, cron: str) -> None:
            # The first 48 bits of a UUIDv7 are its time: the tick's.
            at_ms = int(ctx.workflow_run_id.replace("-", "")[:12], 16)
            with self._lock:
                self._seen.append(Tick(cron, at_ms))

        self._task = tick

    def start(self) -> None:
        """Make the crons. No tick is missed, however busy the machine is."""
        for i in range(CRONS):
            self.app.cron.create("tick", f"cron {i}", "* * * * * *", {"cron": f"cron {i}"}, catch_up="all")

    def seen(self) -> list[Tick]:
        """What has been executed until now."""
        with self._lock:
            return list(self._seen)

    def until_all_ticked(self, times: int) -> None:
        """Wait until every cron has been run so many times more."""
        before = Counter(tick.cron for tick in self.seen())
        until(
            lambda: (
                all(count >= before[cron] + times for cron, count in Counter(t.cron for t in self.seen()).items())
                and len({t.cron for t in self.seen()}) == CRONS
            ),
            f"each cron runs {times} times more",
            seconds=60,
        )

    def owner(self) -> Process:
        """The scheduler that owns the shard."""
        with StoreKeys(self.cluster.store_url) as store:
            incarnation = store.field("own", "scheduler")
        return next(each for each in self.cluster.processes("scheduler") if incarnation in each.last_output())

    def until_quiet(self) -> None:
        """Let the crons rest, and wait for what they have started."""
        for cron in self.app.cron.list("tick"):
            self.app.cron.pause(cron.id)
        with StoreKeys(self.cluster.store_url) as store:
            until(lambda: not store.members("T") and not _under_way(store), "all runs end")

    def history(self) -> History:
        """All ticks that were seen."""
        return History(frozenset(), frozenset(), {}, [], {}, Indexes(), ticks=self.seen())


def _under_way(store: StoreKeys) -> bool:
    return any(key.family in {"lane", "attempts"} for key in store.all())


@contextmanager
def ticking(settings: Mapping[str, str] | None = None) -> Iterator[Ticking]:
    """Three schedulers, a worker, and the crons under way."""
    with LocalCluster(schedulers=3, settings={**TALKATIVE, **(settings or {})}) as cluster:
        ticking = Ticking(cluster)
        with ticking.app, running_worker(ticking.app):
            ticking.start()
            ticking.until_all_ticked(2)
            yield ticking


def test_a_scheduler_that_stood_still_doubles_no_tick() -> None:
    """It goes on where it was stopped, while another one owns the shard; then that one is killed."""
    with ticking() as crons:
        stopped = crons.owner()
        stopped.send(signal.SIGSTOP)
        crons.until_all_ticked(3)
        stopped.send(signal.SIGCONT)
        crons.until_all_ticked(2)
        crons.owner().kill()
        crons.until_all_ticked(3)
        crons.until_quiet()
        assert check(crons.history()) == []


def test_three_schedulers_that_all_own_the_shard_run_each_tick_once() -> None:
    """Ownership only spares work, and so does their timer: the script decides."""
    with ticking(doctored(FENCES["one scheduler fires the crons"])) as crons:
        crons.until_all_ticked(4)
        crons.until_quiet()
        assert check(crons.history()) == []


def test_checker_sees_ticks_that_run_twice() -> None:
    """Negative control: what is settled is fired again, and stored again."""
    fence = {**FENCES["one scheduler fires the crons"], **FENCES["a tick that is settled is not fired"]}
    with ticking(doctored(fence)) as crons:
        until(lambda: max(Counter(crons.seen()).values()) > 1, "a tick is run twice", seconds=60)
        assert "ticks_run_once" in broken_rules(crons.history())
