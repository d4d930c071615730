"""Owns what becomes of crons whose time has come: which ticks are fired.

What runs they become is `windlass_core/crons.py`'s; that each tick gives one run, whoever fires it, is
the store's script's to see to.
"""

from collections import Counter

import structlog

from windlass.v1 import schedule_pb2
from windlass_core.crons import submission_of
from windlass_core.definitions import DefinitionCache
from windlass_core.domain.cron import next_tick
from windlass_core.domain.due_ticks import decide_ticks
from windlass_core.domain.errors import InvalidField
from windlass_core.metrics import Metrics
from windlass_core.named_limits import NamedLimits
from windlass_core.store.crons import DueCron, Firing
from windlass_core.store.shard import Shard

_log = structlog.get_logger(__name__)

# So many runs, of so many bytes, in one step of the store; but one of each cron at the least.
RUNS_AT_ONCE = 2_000
BYTES_AT_ONCE = 16 * 1024 * 1024


class CronFirer:
    """Fires the crons of one shard."""

    def __init__(self, shard: Shard, definitions: DefinitionCache, metrics: Metrics) -> None:
        self._shard = shard
        self._definitions = definitions
        self._limits = NamedLimits(shard.rate_limits)
        self._metrics = metrics

    async def fire_due(self) -> bool:
        """Fires a page of what is due. Returns whether more is. Raises StoreUnavailable."""
        due = await self._shard.crons.due()
        if not due.crons:
            return False
        self._definitions.note_epoch(due.epoch)
        firings = [await self._decide(cron, due.now_ms, len(due.crons)) for cron in due.crons]
        counts = await self._shard.crons.fire(firings)
        self._count(due.crons, counts)
        return due.more or any(0 < firing.next_ms <= due.now_ms for firing in firings)

    async def _decide(self, cron: DueCron, now_ms: int, crons: int) -> Firing:
        spec = schedule_pb2.CronSpec.FromString(cron.body)
        expression, timezone = spec.schedule.expression, spec.schedule.timezone
        try:
            due = decide_ticks(
                lambda after_ms: next_tick(expression, timezone, after_ms),
                settled_ms=cron.settled_ms,
                made_up=cron.made_up,
                now_ms=now_ms,
                catch_up=spec.schedule.catch_up,
                room=max(1, min(RUNS_AT_ONCE // crons, BYTES_AT_ONCE // (crons * len(cron.body)))),
            )
        except InvalidField as error:
            # It was right when it was made: the zone has gone from this machine.
            _log.warning("a cron's times can't be told", cron=cron.cron_id, error=str(error))
            return Firing(cron.cron_id, cron.revision, cron.settled_ms, 0, 0, str(error), [])
        runs, problem = [], ""
        try:
            runs = [
                (tick, await submission_of(self._definitions, self._limits, cron.namespace, cron.cron_id, spec, tick))
                for tick in due.ticks
            ]
        except InvalidField as error:
            _log.warning("a cron's tick comes to nothing", cron=cron.cron_id, error=str(error))
            problem = str(error)
        return Firing(cron.cron_id, cron.revision, due.settled_ms, due.made_up, due.next_ms, problem, runs)

    def _count(self, crons: list[DueCron], counts: list[int]) -> None:
        fired: Counter[str] = Counter()
        for cron, count in zip(crons, counts, strict=True):
            if count:
                fired[schedule_pb2.CronSpec.FromString(cron.body).workflow_name] += count
        for workflow, count in fired.items():
            self._metrics.submitted(workflow, count)
