"""Owns what can be done with crons: typed calls of their scripts, and reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from windlass_core.domain.cron_spec import CheckedCron
from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.runs import Submission
from windlass_core.store.scripts import Scripts

# So many crons are looked at in one go, or as many as have specs of so many bytes.
CRONS_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024

Created: TypeAlias = Literal["created", "same", "taken"]
Changed: TypeAlias = Literal["changed", "stale", "unknown", "declared"]
Switch: TypeAlias = Literal["pause", "resume", "delete"]
Switched: TypeAlias = Literal["done", "already", "unknown", "declared"]


@dataclass(frozen=True, slots=True)
class StoredCron:
    """A cron's hash. `body` is a CronSpec; times in milliseconds since 1970 UTC, 0 where there is none."""

    cron_id: str
    workflow: str
    name: str
    body: bytes
    revision: int
    declared: bool
    paused: bool
    created_ms: int
    settled_ms: int
    last_tick_ms: int
    last_run_id: str
    error: str
    error_ms: int


@dataclass(frozen=True, slots=True)
class DueCron:
    """A cron that is to be looked at. `body` is a CronSpec."""

    cron_id: str
    namespace: str
    revision: int
    settled_ms: int
    made_up: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DueCrons:
    """Crons to be looked at, as of a time of the store's; `epoch` is the definitions'."""

    now_ms: int
    epoch: int
    crons: list[DueCron]
    more: bool


class Firing(NamedTuple):
    """What to do about a cron: `ticks` are times in ms with their runs, oldest first."""

    cron_id: str
    revision: int
    settled_ms: int
    made_up: int
    next_ms: int
    error: str
    ticks: list[tuple[int, Submission]]


_FIELDS = ("ns", "wf", "nm", "b", "rv", "dc", "ps", "c", "a", "lt", "lr", "er", "et")


class Crons:
    """The crons of one shard. Every method raises StoreUnavailable, `create`, `change` and `fire` StoreFull."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def create(self, namespace: str, cron: CheckedCron) -> Created:
        """Keeps a cron."""
        told: Created = (await self._scripts.call("cron_create", (namespace, cron))).decode()
        return told

    async def change(self, namespace: str, revision: int, cron: CheckedCron) -> Changed:
        """Puts another content in the place of the one that it had at a revision."""
        argument = (namespace, cron.cron_id, revision, cron.body, cron.overlap, cron.times)
        told: Changed = (await self._scripts.call("cron_change", argument)).decode()
        return told

    async def switch(self, namespace: str, how: Switch, cron_ids: list[str]) -> list[Switched]:
        """Lets crons rest or go on, or deletes them."""
        outcomes = await self._scripts.call("crons_switch", (namespace, how, cron_ids))
        return [outcome.decode() for outcome in outcomes]

    async def due(self) -> DueCrons:
        """Those that are to be looked at now, the longest due first."""
        now, epoch, found, more = await self._scripts.call("crons_due", (CRONS_AT_ONCE, BYTES_AT_ONCE))
        crons = [DueCron(i.decode(), ns.decode(), rv, settled, made, body) for i, ns, rv, settled, made, body in found]
        return DueCrons(now, epoch, crons, bool(more))

    async def fire(self, firings: Sequence[Firing]) -> list[int]:
        """Fires ticks. Returns how many runs each cron gave: fewer where its overlap says so, or another was first."""
        counts: list[int] = await self._scripts.call("crons_fire", firings)
        return counts

    async def get(self, namespace: str, cron_ids: Sequence[str]) -> list[StoredCron | None]:
        """The crons, None for each that the namespace doesn't have."""
        replies = await self._reader.many([("HMGET", self._keys.of("cron", cron=c), *_FIELDS) for c in cron_ids])
        found = zip(cron_ids, replies, strict=True)
        return [_to_cron(c, values) if values[0] == namespace.encode() else None for c, values in found]

    async def page(self, namespace: str, workflow: str, after: str, count: int) -> list[tuple[str, str]]:
        """Places in the list and ids, by workflow and name, after a place; of one workflow, or with '' of all."""
        key = self._keys.of("crons_by_name", ns=namespace)
        first = f"({after}" if after else f"[{workflow}\n" if workflow else "-"
        last = f"({workflow}\x0b" if workflow else "+"
        found = await self._reader.one("ZRANGEBYLEX", key, first, last, "LIMIT", 0, count)
        places = [place.decode() for place in found]
        return [(place, place.rpartition("\n")[2]) for place in places]


def _to_cron(cron_id: str, values: list[Any]) -> StoredCron:
    _, workflow, name, body, revision, declared, paused, created, settled, tick, run, error, error_at = values
    return StoredCron(
        cron_id=cron_id,
        workflow=workflow.decode(),
        name=name.decode(),
        body=body,
        revision=int(revision),
        declared=declared is not None,
        paused=paused is not None,
        created_ms=int(created),
        settled_ms=int(settled),
        last_tick_ms=int(tick or 0),
        last_run_id=(run or b"").decode(),
        error=(error or b"").decode(),
        error_ms=int(error_at or 0),
    )
