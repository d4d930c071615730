"""Owns starting the hooks of runs that have ended.

What runs they become is `windlass_core/hooks.py`'s; that each end gives one, whoever starts it, is the
store's script's to see to.
"""

from collections import Counter

from windlass_core.definitions import DefinitionCache
from windlass_core.domain.names import flow_task
from windlass_core.hooks import start_of
from windlass_core.metrics import Metrics
from windlass_core.named_limits import NamedLimits
from windlass_core.store.shard import Shard


class HookStarter:
    """Starts the hooks of one shard."""

    def __init__(self, shard: Shard, definitions: DefinitionCache, metrics: Metrics) -> None:
        self._shard = shard
        self._definitions = definitions
        self._limits = NamedLimits(shard.rate_limits)
        self._metrics = metrics

    async def start_owed(self) -> bool:
        """Starts a page of what is owed. Returns whether more is. Raises StoreUnavailable."""
        owed, more = await self._shard.hooks.owed()
        starts = [await start_of(self._definitions, self._limits, each) for each in owed]
        started = await self._shard.hooks.start(starts)
        counts = Counter(flow_task(each.flow) for each, is_started in zip(owed, started, strict=True) if is_started)
        for workflow, count in counts.items():
            self._metrics.submitted(workflow, count)
        return more
