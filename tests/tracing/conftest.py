"""An engine that traces into a sink, and applications that do: a client's and a worker's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.support.otlp_sink import OtlpSink, otlp_sink
from windlass import Windlass, otel
from windlass.testing import Engine, start_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager

    from opentelemetry.sdk.trace.sampling import Sampler

SOON_MS = "20"


class Serving(Protocol):
    """`async with serving(app):` runs a worker in this process."""

    def __call__(self, app: Windlass, slots: int = 10) -> AbstractAsyncContextManager[None]: ...


class MakingProvider(Protocol):
    """Gives a tracer provider of a service of that name, that exports to the sink."""

    def __call__(self, service: str, sampler: Sampler | None = None) -> TracerProvider: ...


@pytest.fixture(scope="session")
def sink() -> Iterator[OtlpSink]:
    """Give a back end."""
    with otlp_sink() as running:
        yield running


@pytest.fixture(scope="session")
def traced_engine(sink: OtlpSink) -> Iterator[Engine]:
    """Give an engine that traces into the sink."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": SOON_MS,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    with start_engine(settings=settings) as running:
        yield running


@pytest.fixture
def provider_of(sink: OtlpSink) -> Iterator[MakingProvider]:
    """Give a way to make tracer providers; they are shut down at the end."""
    made: list[TracerProvider] = []

    def make(service: str, sampler: Sampler | None = None) -> TracerProvider:
        provider = TracerProvider(resource=Resource({"service.name": service}), sampler=sampler)
        exporter = OTLPSpanExporter(endpoint=sink.endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=float(SOON_MS)))
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.shutdown()


@pytest.fixture
async def client(traced_engine: Engine, provider_of: MakingProvider) -> AsyncIterator[Windlass]:
    """Give an application that traces as the service `client`."""
    async with Windlass(config=traced_engine.config) as app:
        otel.instrument(app, provider_of("client"))
        yield app


@pytest.fixture
async def app(traced_engine: Engine, provider_of: MakingProvider) -> AsyncIterator[Windlass]:
    """Give an application that traces as the service `worker`."""
    async with Windlass(config=traced_engine.config) as app:
        otel.instrument(app, provider_of("worker"))
        yield app


@pytest.fixture
def serving() -> Serving:
    """Give a way to run a worker for the length of a block."""

    @asynccontextmanager
    async def serve(app: Windlass, slots: int = 10) -> AsyncIterator[None]:
        worker = app.worker("traced", slots=slots)
        await worker.aio_start()
        assert await asyncio.to_thread(worker.wait_ready, 30)
        try:
            yield
        finally:
            await worker.aio_stop()

    return serve
