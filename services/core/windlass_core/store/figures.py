"""Owns the figures that the store alone knows: how much waits, how much room there is, how full it is.

Read when somebody asks for metrics, never on the way of a run.
"""

from dataclasses import dataclass
from itertools import chain

from windlass.v1 import worker_pb2
from windlass_core.domain.names import flow_queue, flow_task
from windlass_core.store.keys import Keys
from windlass_core.store.lanes import depths, lane_keys
from windlass_core.store.reader import Reader
from windlass_core.store.workers import Workers


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one workflow in one queue, over all priorities."""

    namespace: str
    queue: str
    workflow: str
    depth: int
    oldest_ms: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """The workers of a namespace, together."""

    namespace: str
    workers: int
    used: int
    free: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. Memory in bytes; a limit of 0 is none."""

    queues: list[Queue]
    capacities: list[Capacity]
    memory_used: int
    memory_limit: int


class FiguresReader:
    """Reads them from one shard. Raises StoreUnavailable."""

    def __init__(self, reader: Reader, workers: Workers, keys: Keys) -> None:
        self._reader = reader
        self._workers = workers
        self._keys = keys

    async def read(self) -> Figures:
        """The figures of all namespaces, and of the store."""
        memory, (seconds, micros), members = await self._reader.many(
            [("INFO", "memory"), ("TIME",), ("SMEMBERS", self._keys.of("namespaces"))]
        )
        namespaces = sorted(member.decode() for member in members)
        now_ms = int(seconds) * 1000 + int(micros) / 1000
        told = memory if isinstance(memory, dict) else {}
        return Figures(
            queues=[queue for namespace in namespaces for queue in await self._queues(namespace, now_ms)],
            capacities=[await self._capacity(namespace) for namespace in namespaces],
            memory_used=int(told.get("used_memory", 0)),
            memory_limit=int(told.get("maxmemory", 0)),
        )

    async def queued(self, namespace: str) -> dict[str, int]:
        """How many ready runs wait in each queue of which runs are kept."""
        flows = [member.decode() for member in await self._reader.one("HKEYS", self._keys.of("flows", ns=namespace))]
        waiting: dict[str, int] = {}
        for flow, depth in zip(flows, await depths(self._reader, self._keys, flows), strict=True):
            waiting[flow_queue(flow)] = waiting.get(flow_queue(flow), 0) + depth
        return waiting

    async def _queues(self, namespace: str, now_ms: float) -> list[Queue]:
        members = await self._reader.one("HKEYS", self._keys.of("flows", ns=namespace))
        flows = sorted(member.decode() for member in members)
        lanes = await lane_keys(self._reader, self._keys, flows)
        commands: list[tuple[str | int, ...]] = []
        for key in chain.from_iterable(lanes):
            commands += [("ZCARD", key), ("ZRANGE", key, 0, 0, "WITHSCORES")]
        replies = iter(await self._reader.many(commands))
        queues = []
        for flow, keys in zip(flows, lanes, strict=True):
            found = [(next(replies), next(replies)) for _ in keys]
            heads = [float(head[1]) for _, head in found if head]
            oldest_ms = max(0.0, now_ms - min(heads)) if heads else 0.0
            depth = sum(depth for depth, _ in found)
            queues.append(Queue(namespace, flow_queue(flow), flow_task(flow), depth, oldest_ms))
        return queues

    async def _capacity(self, namespace: str) -> Capacity:
        workers = await self._workers.all(namespace)
        takers = [worker for worker in workers if worker.state == "a" and not worker.paused]
        slots = sum(worker_pb2.Worker.FromString(worker.info).slots for worker in takers)
        return Capacity(
            namespace,
            workers=len(workers),
            used=sum(worker.slots_used for worker in workers),
            free=max(0, slots - sum(worker.slots_used for worker in takers)),
        )
