"""Metrics go out over OTLP where an endpoint is set: the same ones as `/metrics` has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.otlp_sink import OtlpSink
    from tests.tracing.conftest import Serving
    from windlass import Windlass


async def test_every_service_sends_its_own(app: Windlass, sink: OtlpSink, serving: Serving) -> None:
    """Counters, histograms and what is read from the store."""

    @app.task(name="counted")
    async def counted() -> None:
        pass

    async with serving(app):
        await app.aio_enqueue("counted", {}, wait_for_result=True)
    expected = {
        ("windlass-api", "windlass_runs_submitted"),
        ("windlass-dispatcher", "windlass_attempts"),
        ("windlass-dispatcher", "windlass_run_duration_seconds"),
        ("windlass-dispatcher", "windlass_streams"),
        ("windlass-scheduler", "windlass_queue_depth"),
        ("windlass-scheduler", "windlass_script_duration_seconds"),
        ("windlass-scheduler", "windlass_store_memory_bytes"),
    }
    await asyncio.to_thread(until, lambda: expected <= sink.metrics, "all of them have come in")
