"""Owns the scheduler's loops: beating for its shard, matching, timers, crons, hooks, reaping, retention.

The store's scripts do the work and are safe under two owners; ownership only avoids doing it twice.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from typing_extensions import override

from windlass.v1 import run_pb2
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.errors import StoreUnavailable
from windlass_core.domain.names import flow_namespace
from windlass_core.http_door import Readiness
from windlass_core.judgement import judge, terms_of
from windlass_core.metrics import Metrics
from windlass_core.pump import Backoff
from windlass_core.randomness import mint_ids
from windlass_core.service import Service
from windlass_core.settings import SchedulerSettings
from windlass_core.store.scheduling import Overdue
from windlass_scheduler.crons import CronFirer
from windlass_scheduler.hooks import HookStarter

_log = structlog.get_logger(__name__)

BEAT_EVERY_S = 2.0
OWNERSHIP_MS = 3_000
# A longer silence than this between any scheduler's beats was an outage.
LONGEST_GAP_MS = 5_000
ASSIGN_AT_ONCE = 200
# A wake-up may have gone to a scheduler that stands still: so often one looks without any.
LOOK_EVERY_S = 30.0
EXPIRE_EVERY_S = 60.0
EXPIRE_AT_ONCE = 200

LOST = run_pb2.Failure(
    type="WorkerLost", message="the worker that had this attempt is gone; nothing is charged"
).SerializeToString()
GONE = run_pb2.Failure(
    type="WorkerGone", message="the worker that this run was bound to is gone for good", non_retryable=True
).SerializeToString()
CRASHED = run_pb2.Failure(
    type="Crashed", message="the worker died while this attempt was alone on it"
).SerializeToString()


class Scheduler(Service):
    """One replica; at any time one of them owns the shard."""

    name = "scheduler"
    is_sought = False

    def __init__(self, settings: SchedulerSettings) -> None:
        super().__init__(settings, settings.listen, settings.http_listen)
        self._definitions = DefinitionCache(self.shard.definitions)
        self._crons = CronFirer(self.shard, self._definitions, self.observation.metrics)
        self._crons_due = asyncio.Event()
        self._hooks = HookStarter(self.shard, self._definitions, self.observation.metrics)
        self._hooks_due = asyncio.Event()
        self._hold_ms = int(settings.session_ttl.total_seconds() * 1000)
        self._retention_ms = int(settings.retention.total_seconds() * 1000)
        self._owner = asyncio.Event()
        self._taken_over = asyncio.Event()
        self._to_reap = asyncio.Event()
        # One step at a time: what each tells of the next timer is then heard in that order.
        self._stepping = asyncio.Lock()
        # The next timer, on this loop's clock; None: there is none.
        self._due: float | None = None
        self._due_moved = asyncio.Event()

    @override
    def loops(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """See Service."""
        return [
            self._forever(self._beat_once),
            self._forever(self._take_over_once),
            self._forever(self._reap_once),
            self._forever(self._match_once),
            self._forever(self._fire_once),
            self._forever(self._fire_crons_once),
            self._forever(self._start_hooks_once),
            self._forever(self._expire_once),
        ]

    @override
    async def readiness(self) -> Readiness:
        """Standing by is as good as owning: that is what a second replica is for."""
        return Readiness(facts={"shard": "owned" if self._owner.is_set() else "standby"})

    @override
    async def measure(self, metrics: Metrics) -> None:
        """See Service. What the store knows is told by one process: whoever owns the shard."""
        metrics.store.figures = await self.shard.figures.read() if self._owner.is_set() else None

    @override
    async def leave(self) -> None:
        """Gives the shard up, so that another replica has it at once."""
        self._owner.clear()
        try:
            await self.shard.scheduling.beat(self.inc, 0, LONGEST_GAP_MS, self._hold_ms)
        except StoreUnavailable as error:
            _log.warning("shard not given up: it falls free by itself", error=str(error))

    def _forever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        async def loop() -> None:
            backoff = Backoff()
            while True:
                try:
                    await step()
                    backoff.reset()
                except (StoreUnavailable, TimeoutError) as error:
                    _log.warning("store away, trying again", loop=step.__name__, error=str(error))
                    await backoff.wait()

        return loop

    async def _beat_once(self) -> None:
        if self._leaving.is_set():
            await asyncio.Event().wait()
        beat = await self.shard.scheduling.beat(self.inc, OWNERSHIP_MS, LONGEST_GAP_MS, self._hold_ms)
        if beat.owner and not self._owner.is_set():
            _log.info("owns the shard")
            self._owner.set()
            self._taken_over.set()
        elif not beat.owner and self._owner.is_set():
            _log.warning("stands by: another scheduler owns the shard")
            self._owner.clear()
        if beat.reap:
            self._to_reap.set()
        await asyncio.sleep(BEAT_EVERY_S if beat.owner else beat.wait_ms / 1000)

    async def _take_over_once(self) -> None:
        """Wake-ups and timers of the time without an owner. Not the beat's: it may take long."""
        await self._taken_over.wait()
        self._taken_over.clear()
        await self._match()

    async def _match_once(self) -> None:
        await self._owner.wait()
        with self._anew_after_failure():
            await self.shard.pop(self.shard.keys.of("wake"), 1, LOOK_EVERY_S)
        await self._match()

    async def _match(self) -> None:
        async with self._stepping:
            more = True
            while more:
                with self._anew_after_failure():
                    assigned = await self.shard.scheduling.assign(mint_ids(ASSIGN_AT_ONCE), GONE)
                self._set_due(assigned.next_due_ms, assigned.now_ms)
                more = assigned.more

    @contextmanager
    def _anew_after_failure(self) -> Iterator[None]:
        """A wake-up may be lost, or used up: the next beat then takes the shard as if anew."""
        try:
            yield
        except (StoreUnavailable, TimeoutError):
            self._owner.clear()
            raise

    async def _reap_once(self) -> None:
        """Not the beat's either: the dead of a large cluster take many pages."""
        await self._to_reap.wait()
        self._to_reap.clear()
        more = True
        while more and self._owner.is_set():
            taken, more = await self.shard.scheduling.reap(LOST, CRASHED)
            if taken:
                self.observation.metrics.attempts_lost(taken)
                _log.warning("took back the attempts of lost workers", attempts=taken)

    async def _fire_once(self) -> None:
        await self._owner.wait()
        self._due_moved.clear()
        now = asyncio.get_running_loop().time()
        if self._due is None or self._due > now:
            delay = None if self._due is None else self._due - now
            try:
                async with asyncio.timeout(delay):
                    await self._due_moved.wait()
            except TimeoutError:
                pass
            else:
                return
        async with self._stepping:
            fired = await self.shard.scheduling.fire()
            self._set_due(fired.next_due_ms, fired.now_ms)
        if fired.crons_are_due:
            self._crons_due.set()
        if fired.hooks_are_due:
            self._hooks_due.set()
        for overdue in fired.overdue:
            await self._end_overdue(overdue)

    async def _fire_crons_once(self) -> None:
        """Not the timers': thousands of crons may be due in one second."""
        await self._crons_due.wait()
        self._crons_due.clear()
        while self._owner.is_set() and await self._crons.fire_due():
            pass

    async def _start_hooks_once(self) -> None:
        """Nor the timers': as many hooks may be owed as runs end."""
        await self._hooks_due.wait()
        self._hooks_due.clear()
        while self._owner.is_set() and await self._hooks.start_owed():
            pass

    async def _end_overdue(self, overdue: Overdue) -> None:
        """The worker was to have stopped the attempt itself; it didn't, or couldn't tell."""
        failure = run_pb2.Failure(
            type="ExecutionTimeout",
            message="the attempt ran longer than its execution timeout, and its worker did not end it",
        )
        namespace = flow_namespace(overdue.flow)
        (body,) = await self.shard.runs.specs([overdue.run_id])
        spec = run_pb2.RunSpec.FromString(body)
        terms = await terms_of(self._definitions, namespace, overdue.flow, overdue.version, spec)
        judgement = judge(terms, overdue.attempt, failure)
        await self.shard.runs.fail([judgement.of(overdue.run_id, overdue.lease_id, failure.SerializeToString())])

    async def _expire_once(self) -> None:
        await asyncio.sleep(EXPIRE_EVERY_S)
        more = self._owner.is_set()
        if more:
            for service in ("api", "dispatcher"):
                await self.shard.processes.bury(service)
        while more:
            _deleted, more = await self.shard.runs.expire(self._retention_ms, EXPIRE_AT_ONCE)

    def _set_due(self, due_ms: int, now_ms: int) -> None:
        due = None
        if due_ms:
            due = asyncio.get_running_loop().time() + max(0, due_ms - now_ms) / 1000
        self._due = due
        self._due_moved.set()
