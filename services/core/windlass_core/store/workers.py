"""Owns what can be done with workers: typed calls of the worker scripts, and reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from windlass_core.domain.placement import DEFAULT_POOL
from windlass_core.store.keys import Keys
from windlass_core.store.reader import Reader
from windlass_core.store.scripts import Scripts, unpack


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a worker says of itself. Durations in milliseconds; `group` names workers alike."""

    namespace: str
    worker_id: str
    session_id: str
    dispatcher: str
    slots: int
    group: str
    tasks: Sequence[str]
    queues: Sequence[str]
    info: bytes
    held: Sequence[str]
    draining: bool
    ttl_ms: int
    # As scripts compare them, and slots in pools other than the default one.
    labels: Mapping[str, Sequence[object]] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the store makes of it. `again` holds attempts as an inbox would."""

    lost: list[str]
    cancelled: list[str]
    again: list[list[Any]]


@dataclass(frozen=True, slots=True)
class StoredWorker:
    """A worker as the store has it. `state` is `a`, `d` or `g`; times in ms since 1970 UTC.

    `pools_used` has the slots taken in pools other than the default one.
    """

    info: bytes
    state: str
    dispatcher: str
    slots_used: int
    since_ms: int
    expires_ms: int
    paused: bool
    pools_used: dict[str, int]


class Workers:
    """The workers of one shard. Every method raises StoreUnavailable."""

    def __init__(self, reader: Reader, scripts: Scripts, keys: Keys) -> None:
        self._reader = reader
        self._scripts = scripts
        self._keys = keys

    async def hello(self, enrolment: Enrolment) -> Enrolled | None:
        """Enrols a connection. None: the worker's id belongs to another namespace."""
        e = enrolment
        reply = await self._scripts.call(
            "worker_hello",
            (e.namespace, e.worker_id, e.session_id, e.dispatcher, e.slots, e.group, e.tasks,
             e.queues, e.info, e.held, e.draining, e.ttl_ms, e.labels, e.pools),
        )  # fmt: skip
        if reply[0] != b"ok":
            return None
        return Enrolled([x.decode() for x in reply[1]], [x.decode() for x in reply[2]], reply[3])

    async def relabel(self, enrolment: Enrolment) -> bool:
        """Moves a worker to where its labels belong now. Returns whether its session still counts."""
        e = enrolment
        counts: bool = await self._scripts.call(
            "worker_relabel",
            (e.namespace, e.worker_id, e.session_id, e.slots, e.group, e.tasks, e.queues, e.info, e.labels, e.pools),
        )
        return counts

    async def leave(self, leaving: list[tuple[str, str, Literal["gone", "draining"]]]) -> int:
        """Gives (worker, session) no new work. Returns how many of the sessions still counted."""
        counted: int = await self._scripts.call("worker_leave", leaving)
        return counted

    async def pause(self, namespace: str, worker_ids: Sequence[str], *, pause: bool) -> list[str]:
        """Gives workers no new work, or gives them work again.

        Returns the ids that the namespace doesn't have; where there is one, nothing was changed.
        """
        unknown = await self._scripts.call("workers_pause", (namespace, worker_ids, pause))
        return [worker_id.decode() for worker_id in unknown]

    async def heartbeat(self, ttl_ms: int, beats: Sequence[tuple[str, str, Sequence[str]]]) -> list[list[str] | None]:
        """Renews (worker, session, leases held).

        Returns the lost leases of each, None where the session no longer counts.
        """
        answers = await self._scripts.call("worker_heartbeat", (ttl_ms, beats))
        return [[x.decode() for x in a[1]] if a[0] == b"ok" else None for a in answers]

    async def all(self, namespace: str) -> list[StoredWorker]:
        """All workers of the namespace whose session has not expired."""
        members = await self._reader.one("SMEMBERS", self._keys.of("workers", ns=namespace))
        return await self._load(namespace, sorted(m.decode() for m in members))

    async def get(self, namespace: str, worker_id: str) -> StoredWorker | None:
        """One worker, None where the namespace has none of that id."""
        return next(iter(await self._load(namespace, [worker_id])), None)

    async def _load(self, namespace: str, worker_ids: list[str]) -> list[StoredWorker]:
        sessions = self._keys.of("sessions")
        commands: list[tuple[str | int, ...]] = []
        for worker in worker_ids:
            key = self._keys.of("worker", worker=worker)
            commands.append(("HMGET", key, "ns", "info", "st", "disp", "since", "pz", "pl"))
            commands.append(("SCARD", self._keys.of("slots", worker=worker, pool=DEFAULT_POOL)))
            commands.append(("ZSCORE", sessions, worker))
        replies = await self._reader.many(commands)
        workers = []
        for worker, (fields, used, expires) in zip(worker_ids, zip(*[iter(replies)] * 3, strict=True), strict=True):
            ns, info, state, dispatcher, since, paused, further = fields
            if ns is not None and ns.decode() == namespace:
                pools_used = await self._pools_used(worker, further) if further else {}
                workers.append(
                    StoredWorker(info, state.decode(), dispatcher.decode(), used, int(since),
                                 int(expires or 0), paused is not None, pools_used)
                )  # fmt: skip
        return workers

    async def _pools_used(self, worker: str, further: bytes) -> dict[str, int]:
        pools = sorted({pool.decode() for _group, pool, _slots in unpack(further)} - {DEFAULT_POOL})
        used = await self._reader.many([("SCARD", self._keys.of("slots", worker=worker, pool=pool)) for pool in pools])
        return dict(zip(pools, used, strict=True))
