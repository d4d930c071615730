"""What prometheus-client keeps, as OpenTelemetry has it."""

from __future__ import annotations

from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

from windlass_core.metrics import Metrics
from windlass_core.otlp_metrics import to_metric


def _metrics(metrics: Metrics) -> dict[str, object]:
    families = [to_metric(family, 1, 2) for family in metrics.registry.collect()]
    return {metric.name: metric.data for metric in families if metric is not None}


def test_a_counter_is_a_sum_that_only_grows() -> None:
    """Cumulative since the start."""
    metrics = Metrics()
    metrics.submitted("a", 3)
    metrics.submitted("b", 1)
    data = _metrics(metrics)["windlass_runs_submitted"]
    assert isinstance(data, Sum)
    assert data.is_monotonic
    assert {point.attributes["workflow"]: point.value for point in data.data_points if point.attributes} == {
        "a": 3,
        "b": 1,
    }


def test_a_histogram_keeps_its_buckets() -> None:
    """Prometheus counts all below a bound, OpenTelemetry what lies between two."""
    metrics = Metrics()
    for seconds in (0.0003, 0.0004, 0.003, 60.0):
        metrics.called("assign", seconds)
    data = _metrics(metrics)["windlass_script_duration_seconds"]
    assert isinstance(data, Histogram)
    (point,) = data.data_points
    assert (point.count, round(point.sum, 4), sum(point.bucket_counts)) == (4, 60.0037, 4)
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    filled = {bound: count for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False) if count}
    assert filled == {0.0005: 2, 0.005: 1}
    assert point.bucket_counts[-1] == 1


def test_a_gauge_is_what_it_is_now() -> None:
    """And what nobody touched is not sent at all."""
    metrics = Metrics()
    metrics.streams("api", 2)
    metrics.streams("api", 1)
    sent = _metrics(metrics)
    data = sent["windlass_streams"]
    assert isinstance(data, Gauge)
    assert [point.value for point in data.data_points] == [1]
    assert sent.keys() == {"windlass_streams", "windlass_attempts_lost"}
