"""What a system costs when it has nothing to do: memory, store commands, CPU."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.accounting import proportional_bytes, resident_bytes
from bench.row import Figure, Row, Values

if TYPE_CHECKING:
    from bench.sizes import Sizes
    from bench.system import Running

_MIB = 1024 * 1024


def _idle(running: Running, sizes: Sizes) -> Values:
    began, store_before = time.monotonic(), running.store.read()
    cpu_before = sum(running.cpu_seconds().values())
    time.sleep(sizes.idle_seconds)
    store, cpu = running.store.read(), sum(running.cpu_seconds().values())
    seconds = time.monotonic() - began
    pids = running.all_pids()
    return {
        "idle.commands_per_s": (store.commands - store_before.commands) / seconds,
        "idle.trips_per_s": (store.reads - store_before.reads) / seconds,
        "idle.cpu_percent": 100 * (cpu - cpu_before) / seconds,
        "idle.rss_mib": resident_bytes(pids) / _MIB,
        "idle.pss_mib": proportional_bytes(pids) / _MIB,
        **{f"idle.pss_mib.{role}": proportional_bytes(of_role) / _MIB for role, of_role in running.pids.items()},
    }


PLACE = 4
ROWS = (
    Row(
        "idle",
        (
            Figure("idle.commands_per_s", "store commands per idle second", "less", 1),
            Figure("idle.trips_per_s", "store round trips per idle second", "less", 1),
            Figure("idle.cpu_percent", "CPU when idle, % of a core", "less", 1),
            Figure("idle.rss_mib", "memory of all processes, RSS, MiB", "less"),
            Figure("idle.pss_mib", "the same, shared pages once, MiB", "less"),
        ),
        _idle,
        once=True,
    ),
)
