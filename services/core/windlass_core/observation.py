"""Owns what a service lets others see of it: its metrics always, traces and OTLP where they are asked for.

OpenTelemetry's own variables ask for them; without those nothing of its traces is imported.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from typing_extensions import override

from windlass_core.metrics import Metrics
from windlass_core.store.processes import ServiceName
from windlass_core.store.scripts import Watcher

if TYPE_CHECKING:
    from windlass_core.otlp_metrics import OtlpMetrics
    from windlass_core.tracing import Tracing

_log = structlog.get_logger(__name__)

# A collector that is away does not keep a service from leaving.
_FAREWELL_S = 3.0


def wants(signal: str, environment: Mapping[str, str]) -> bool:
    """Whether TRACES or METRICS are to be sent over OTLP, and it is said where to."""
    endpoints = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return (
        any(environment.get(name) for name in endpoints)
        and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environment.get(f"OTEL_{signal}_EXPORTER", "otlp") == "otlp"
    )


class Observation(Watcher):
    """The metrics, and perhaps the traces, of one process. `tracing` is None where they are off."""

    def __init__(self, service: ServiceName, incarnation: str, refresh: Callable[[Metrics], Awaitable[None]]) -> None:
        self.metrics = Metrics()
        self.called = self.metrics.called  # type: ignore[method-assign]  # it is called with every script
        self.tracing: Tracing | None = None
        self._refresh = refresh
        self._otlp: OtlpMetrics | None = None
        if wants("TRACES", os.environ):
            from windlass_core import tracing

            self.tracing = tracing.Tracing(service, incarnation)
        if wants("METRICS", os.environ):
            from windlass_core import otlp_metrics

            self._otlp = otlp_metrics.OtlpMetrics(service, incarnation, self.metrics.registry)

    @override
    def traced(self, notes: list[list[Any]]) -> None:
        """See Watcher."""
        if self.tracing is not None:
            self.tracing.tell(notes)

    async def text(self) -> bytes:
        """The metrics as they are now, in Prometheus's text format."""
        await self._refresh(self.metrics)
        return self.metrics.text()

    async def run(self) -> None:
        """Sends metrics until cancelled, where that is asked for."""
        if self._otlp is not None:
            await self._otlp.run(lambda: self._refresh(self.metrics))

    async def stop(self) -> None:
        """Sends what is left, and waits for that a little."""
        farewells = [each.stop for each in (self.tracing, self._otlp) if each is not None]
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await asyncio.gather(*(asyncio.to_thread(farewell) for farewell in farewells))
        except TimeoutError:
            _log.warning("last spans or metrics not sent: the OTLP endpoint does not answer")
