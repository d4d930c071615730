"""Owns the fences that negative controls take out, and how a cluster is started without them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from windlass_core.store.linking import with_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    #: Script → what to replace in it: text, replacement.
    Fence: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]

_FENCES: Final[dict[str, Fence]] = {
    "a completion needs the exact lease": {"run_complete": [("if f[2] ~= lease then", "if false then")]},
    "an expired session's work is queued again": {"sessions_reap": [("  requeue_uncharged(run, r)\n", "")]},
    "a Hello brings back what is leased and not held": {
        "worker_hello": [("again[#again + 1] = describe(run, lease, tonumber(f[1]), r)", "")]
    },
    "a Hello keeps what is held": {"worker_hello": [("if is_held[lease] then", "if false then")]},
    "a dead scheduler's shard falls free": {
        "scheduler_beat": [
            ("if own[1] and not mine and left > 0 and left <= ttl then", "if own[1] and not mine then"),
            ("return cmsgpack.pack({ false, false, left })", "return cmsgpack.pack({ false, false, ttl })"),
        ]
    },
    "a run that is there is not stored again": {
        "run_submit": [("if seen[run] or not all_new and call('EXISTS', keys[place]) == 1 then", "if false then")]
    },
    "one scheduler fires the crons": {
        "scheduler_beat": [("if own[1] and not mine and left > 0 and left <= ttl then", "if false then")],
        "timers_fire": [
            (
                "left[member] = true\n  call('ZADD', K.timers(), now + AGAIN, member)",
                "left[member] = true\n  call('ZADD', K.timers(), now, member)",
            )
        ],
    },
    "a tick that is settled is not fired": {
        "crons_fire": [
            ("or settled < tonumber(since) then", "then"),
            ("if tick > tonumber(since) and make_way", "if make_way"),
            ("if seen[run] or not all_new and call('EXISTS', keys[place]) == 1 then", "if false then"),
        ]
    },
    "an end has one hook": {
        "hooks_start": [
            (
                "if call('ZREM', K.hooks_due(), run) == 0 or not hook then return false end",
                "if math.random(4) == 1 then call('ZREM', K.hooks_due(), run) end",
            ),
            ("if seen[run] or not all_new and call('EXISTS', keys[place]) == 1 then", "if false then"),
        ]
    },
    "a permit that is taken is taken": {
        script: [("return max_runs(gate[2]) - call('ZCARD', K.permits(gate[2])) end", "return max_runs(gate[2]) end")]
        for script in ("assign", "run_submit", "run_complete")
    },
    "units that are used are used": {
        script: [("window.used = window.used + units_of(gate, limit) * #runs", "window.used = 0")]
        for script in ("assign", "run_submit", "run_complete")
    },
    "a lost run keeps its permits": {
        "sessions_reap": [("gather_permits(run, gates, true)", "gather_permits(run, gates, false)")]
    },
}

#: As they stand in the scripts, with keys put in.
FENCES: Final[dict[str, Fence]] = {
    name: {
        script: [(with_keys(sound), with_keys(broken)) for sound, broken in changes]
        for script, changes in fence.items()
    }
    for name, fence in _FENCES.items()
}


def doctored(fence: Fence) -> dict[str, str]:
    """Settings for a cluster whose services have a fence taken out of their scripts."""
    paths = [str(Path(__file__).parent / "doctored"), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "DOCTORED_SCRIPTS": json.dumps(fence),
    }
