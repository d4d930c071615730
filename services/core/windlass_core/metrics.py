"""Owns what the services measure: every instrument is declared here, once, for `/metrics` and OTLP.

Kept in this process by prometheus-client, at about a microsecond per record; what the store alone
knows is read when somebody asks. Names and labels are part of what we promise: dashboards have them.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from windlass_core.store.scripts import Watcher

if TYPE_CHECKING:
    from windlass_core.store.figures import Figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_RUN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_SCRIPT_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)

Ending: TypeAlias = Literal["completed", "retried", "failed", "released", "crashed"]
_FINAL = ("completed", "failed")


class Ended(Protocol):
    """What is looked at of an attempt that ended."""

    flow: str
    created_ms: int


class Metrics(Watcher):
    """The instruments of one process. Those that its service never touches show nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._submitted = Counter(
            "windlass_runs_submitted",
            "Runs that were accepted, by the api or for a cron",
            ["workflow"],
            registry=self.registry,
        )
        self._attempts = Counter(
            "windlass_attempts",
            "Attempts that ended, by a dispatcher: completed, retried, failed (the last one), released",
            ["workflow", "outcome"],
            registry=self.registry,
        )
        self._lost = Counter(
            "windlass_attempts_lost",
            "Attempts that were taken back because their worker was gone, by the scheduler",
            registry=self.registry,
        )
        self._runs = Histogram(
            "windlass_run_duration_seconds",
            "From the accept of a run to its end, by a dispatcher",
            ["workflow", "outcome"],
            buckets=_RUN_SECONDS,
            registry=self.registry,
        )
        self._scripts = Histogram(
            "windlass_script_duration_seconds",
            "One call of a store script, the way there and back included",
            ["script"],
            buckets=_SCRIPT_SECONDS,
            registry=self.registry,
        )
        self._streams = Gauge(
            "windlass_streams", "Open streams: of clients at an api, of workers at a dispatcher", ["service"],
            registry=self.registry,
        )  # fmt: skip
        self.store = StoreFigures()
        self.registry.register(self.store)
        # Finding an instrument's labels costs as much as recording does.
        self._found: dict[tuple[Any, ...], Any] = {}

    @override
    def called(self, name: str, seconds: float) -> None:
        """See Watcher."""
        self._of(self._scripts, name).observe(seconds)

    def submitted(self, workflow: str, count: int) -> None:
        """So many runs were accepted."""
        self._of(self._submitted, workflow).inc(count)

    def attempts_ended(self, ended: Iterable[tuple[Ended | None, Ending]]) -> None:
        """Attempts ended like that, and the runs of some with them; None: another dispatcher's."""
        now_ms = time.time_ns() / 1e6
        counts: dict[tuple[str, Ending], int] = {}
        for attempt, how in ended:
            flow = attempt.flow if attempt is not None else ""
            counts[flow, how] = counts.get((flow, how), 0) + 1
            if attempt is not None and how in _FINAL:
                seconds = max(0.0, now_ms - attempt.created_ms) / 1000
                self._of(self._runs, flow.rpartition("|")[2], how).observe(seconds)
        for (flow, how), count in counts.items():
            self._of(self._attempts, flow.rpartition("|")[2], how).inc(count)

    def attempts_lost(self, count: int) -> None:
        """So many attempts were taken back from workers that are gone."""
        self._lost.inc(count)

    def streams(self, service: str, count: int) -> None:
        """So many streams are open."""
        self._of(self._streams, service).set(count)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)

    def _of(self, instrument: Any, *labels: str) -> Any:
        key = (instrument, *labels)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = instrument.labels(*labels)
        return found


class StoreFigures(Collector):
    """What was read from the store last; nothing where this process isn't the one to tell it."""

    def __init__(self) -> None:
        self.figures: Figures | None = None

    @override
    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        depth = GaugeMetricFamily(
            "windlass_queue_depth", "Runs that are ready and wait for a slot", labels=["namespace", "queue", "workflow"]
        )
        oldest = GaugeMetricFamily(
            "windlass_queue_oldest_seconds",
            "How long the oldest of them has been ready",
            labels=["namespace", "queue", "workflow"],
        )
        slots = GaugeMetricFamily("windlass_slots", "Slots of all workers: used or free", labels=["namespace", "state"])
        workers = GaugeMetricFamily("windlass_workers", "Workers with a live session", labels=["namespace"])
        memory = GaugeMetricFamily(
            "windlass_store_memory_bytes", "The store's memory: used, and limit (0: none)", labels=["kind"]
        )
        if self.figures is not None:
            for queue in self.figures.queues:
                labels = [queue.namespace, queue.queue, queue.workflow]
                depth.add_metric(labels, queue.depth)
                oldest.add_metric(labels, queue.oldest_ms / 1000)
            for capacity in self.figures.capacities:
                slots.add_metric([capacity.namespace, "used"], capacity.used)
                slots.add_metric([capacity.namespace, "free"], capacity.free)
                workers.add_metric([capacity.namespace], capacity.workers)
            memory.add_metric(["used"], self.figures.memory_used)
            memory.add_metric(["limit"], self.figures.memory_limit)
        return [depth, oldest, slots, workers, memory]
