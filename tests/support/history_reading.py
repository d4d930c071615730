"""Owns reading from the store, without the engine, what the history checker needs of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.support.history import Indexes, StoredEnd
from tests.support.store_keys import PREFIX, StoreKeys
from windlass.v1.run_pb2 import RunSpec
from windlass_core.domain.names import DEFAULT_NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Families whose keys are there only while work is waiting, held or timed.
BUSY: Final = frozenset(
    {"waiters", "lane", "lane_meta", "ring", "heads", "attempts", "slots", "dirty", "wake", "timers", "hooks_due"}
)


def busy_keys(store: StoreKeys) -> list[str]:
    """The keys that say that something is under way."""
    return [key.name for key in store.all() if key.family in BUSY]


def read_runs(store: StoreKeys) -> dict[str, StoredEnd]:
    """All runs."""
    ids = [key.parts["run"] for key in store.all() if key.family == "run"]
    pipe = store.redis.pipeline(transaction=False)
    for run_id in ids:
        pipe.hmget(f"{PREFIX}r:{run_id}", "ph", "n", "L", "o", "rp", "hk", "b")
    return {run_id: _to_end(run_id, values) for run_id, values in zip(ids, pipe.execute(), strict=True)}


def read_indexes(store: StoreKeys) -> Indexes:
    """Everything that is kept besides the runs."""
    slots: dict[str, tuple[int, int]] = {}
    for worker in store.members("sess"):
        state, total, group = store.redis.hmget(f"{PREFIX}w:{worker}", "st", "slots", "group")
        if state == b"a":
            free = store.redis.zscore(f"{PREFIX}free:{group.decode()}", worker)
            slots[worker] = int(free or 0), int(total)
    return Indexes(
        accepted=store.members(f"ix:{DEFAULT_NAMESPACE}"),
        done=[entry.partition(" ")[2] for entry in store.members("done")],
        failed=store.members(f"fx:{DEFAULT_NAMESPACE}"),
        busy=busy_keys(store),
        slots=slots,
    )


def nonce_of(output: dict[str, Any]) -> str:
    """The nonce of the execution that made it: of a task's output, or of a run's that tells its one task's by name."""
    told = output if "nonce" in output else next(iter(output.values()), {})
    return str(told.get("nonce", ""))


def _to_end(run_id: str, values: Sequence[bytes | None]) -> StoredEnd:
    phase, attempt, lease, output, replays, hooked, spec = values
    hook = RunSpec.FromString(spec or b"").hook
    return StoredEnd(
        run_id=run_id,
        phase=Phase((phase or b"").decode()),
        attempt=int(attempt or 0),
        lease_id=(lease or b"").decode(),
        nonce=nonce_of(json.loads(output)) if output else "",
        replays=int(replays or 0),
        hooked=[*map(Phase, (hooked or b"").decode())],
        follows=hook.run_id,
        told_of=(Phase.FAILED if hook.failures else Phase.COMPLETED) if hook.run_id else None,
    )
