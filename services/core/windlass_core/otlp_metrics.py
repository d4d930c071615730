"""Owns that the metrics go out over OTLP too: what the registry shows, as OpenTelemetry has it.

Loaded only where the environment names an OTLP endpoint. Counts are cumulative since the start.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise

import structlog
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.registry import CollectorRegistry

_log = structlog.get_logger(__name__)

_INTERVAL_MS = 60_000


class OtlpMetrics:
    """Sends a registry's content every OTEL_METRIC_EXPORT_INTERVAL milliseconds."""

    def __init__(self, service: str, incarnation: str, registry: CollectorRegistry) -> None:
        self._resource = Resource.create({"service.name": f"windlass-{service}", "service.instance.id": incarnation})
        self._registry = registry
        self._exporter = OTLPMetricExporter()
        self._interval_s = int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", _INTERVAL_MS)) / 1000
        self._begin_ns = time.time_ns()

    async def run(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Sends until cancelled; `refresh` makes the registry current."""
        while True:
            await asyncio.sleep(self._interval_s)
            await refresh()
            await asyncio.to_thread(self.send)

    def send(self) -> None:
        """Sends once. Blocks; a collector that is away is logged by the exporter."""
        now_ns = time.time_ns()
        metrics = [
            metric
            for family in self._registry.collect()
            if (metric := to_metric(family, self._begin_ns, now_ns)) is not None
        ]
        scope = ScopeMetrics(InstrumentationScope("windlass.engine"), metrics, "")
        self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))

    def stop(self) -> None:
        """Sends for the last time, and closes. Blocks."""
        self.send()
        self._exporter.shutdown()


def to_metric(family: Family, begin_ns: int, now_ns: int) -> Metric | None:
    """One family as OpenTelemetry has it; None where it shows nothing."""
    if not family.samples:
        return None
    unit = "s" if family.name.endswith("_seconds") else "By" if family.name.endswith("_bytes") else "1"
    data: Histogram | Sum | Gauge
    if family.type == "histogram":
        data = Histogram(_histogram(family, begin_ns, now_ns), AggregationTemporality.CUMULATIVE)
    else:
        points = [
            NumberDataPoint(dict(sample.labels), begin_ns, now_ns, sample.value)
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]
        if family.type == "counter":
            data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        else:
            data = Gauge(points)
    return Metric(family.name, family.documentation, unit, data)


def _histogram(family: Family, begin_ns: int, now_ns: int) -> list[HistogramDataPoint]:
    """Points out of samples: `le` buckets, which count all below them, `_sum` and `_count`."""
    buckets: defaultdict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        key = tuple(sorted(labels.items()))
        if sample.name.endswith("_bucket"):
            buckets[key].append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    points = []
    for key, pairs in buckets.items():
        pairs.sort()
        below = [0.0, *(count for _, count in pairs)]
        counts = [int(count - before) for before, count in pairwise(below)]
        bounds = [bound for bound, _ in pairs[:-1]]
        points.append(
            HistogramDataPoint(
                dict(key), begin_ns, now_ns, int(pairs[-1][1]), sums[key], counts, bounds, float("nan"), float("nan")
            )
        )
    return points
