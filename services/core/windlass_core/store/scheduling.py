"""Owns the scheduler's scripts: matching, timers, reaping, and whose the shard is."""

from dataclasses import dataclass
from typing import Any

from windlass_core.store.scripts import Scripts

TIMERS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat told. `wait_ms` is how long another scheduler owns the shard yet."""

    owner: bool
    reap: bool
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a round of matching did."""

    given: int
    more: bool
    next_due_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """An attempt whose worker was to have stopped it by now."""

    run_id: str
    lease_id: str
    attempt: int
    flow: str
    version: str


@dataclass(frozen=True, slots=True)
class Fired:
    """What a round of timers did."""

    count: int
    next_due_ms: int
    now_ms: int
    overdue: list[Overdue]
    crons_are_due: bool
    hooks_are_due: bool


class Scheduling:
    """Decisions of one shard. Every method raises StoreUnavailable."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def is_owned(self) -> bool:
        """Whether any scheduler owns the shard now."""
        return bool(await self._scripts.call("shard_owned", None))

    async def beat(self, scheduler: str, ttl_ms: int, gap_ms: int, hold_ms: int) -> Beat:
        """Takes or keeps the shard for `ttl_ms`; 0 gives it up.

        After a gap of `gap_ms` between beats nothing is to be reaped for `hold_ms`.
        """
        owner, reap, wait_ms = await self._scripts.call("scheduler_beat", (scheduler, ttl_ms, gap_ms, hold_ms))
        return Beat(bool(owner), bool(reap), wait_ms)

    async def assign(self, leases: list[str], gone: bytes) -> Assigned:
        """Gives out at most as many attempts as there are leases.

        `gone` is the Failure to record for a run that waits for a worker that is gone for good.
        """
        given, more, due, now = await self._scripts.step("assign", (leases, gone))
        return Assigned(given, bool(more), due, now)

    async def fire(self) -> Fired:
        """Does what is due, at most TIMERS_AT_ONCE of it."""
        count, due, now, overdue, are_due = await self._scripts.step("timers_fire", TIMERS_AT_ONCE)
        return Fired(count, due, now, [_to_overdue(entry) for entry in overdue], *map(bool, are_due))

    async def reap(self, lost: bytes, crashed: bytes) -> tuple[int, bool]:
        """Takes back what expired sessions held; `lost` and `crashed` are the Failures to record.

        Returns how many attempts, and whether there are more.
        """
        taken, more = await self._scripts.step("sessions_reap", (lost, crashed))
        return taken, bool(more)


def _to_overdue(entry: list[Any]) -> Overdue:
    run, lease, attempt, flow, version = entry
    return Overdue(run.decode(), lease.decode(), attempt, flow.decode(), version.decode())
