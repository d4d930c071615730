"""`make traces`: one connected trace, in a real back end.

Starts Arize Phoenix, an engine and a worker; delivers four parcels, one of which is tried twice;
asks Phoenix for the trace, prints it as a tree, and checks what hangs below what.
`ARGS=--keep` leaves Phoenix up, to look at the trace in a browser.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from opentelemetry import trace

from examples.tracing.phoenix import Phoenix, Span, phoenix
from examples.tracing.tasks import ADDRESSES
from windlass import Windlass, otel
from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a trace of a delivery has, by name: four parcels, five attempts.
PARCELS, ATTEMPTS = len(ADDRESSES), len(ADDRESSES) + 1
EXPECTED = {
    "shop": 1,
    **{f"{operation} round_trip": 1 for operation in ("send", "submit", "queue", "deliver", "process", "settle")},
    **{f"{operation} parcel": PARCELS for operation in ("send", "submit")},
    **{f"{operation} parcel": ATTEMPTS for operation in ("queue", "deliver", "process", "settle")},
    "backoff parcel": 1,
    "look at the map": ATTEMPTS,
}
SERVICES = {"shop", "courier", "windlass-api", "windlass-dispatcher", "windlass-scheduler"}
_ARRIVE_SECONDS = 60.0


def deliver(client: Windlass) -> str:
    """Have the parcels delivered, inside a span of the shop's own. Gives the trace's id."""
    with trace.get_tracer("shop").start_as_current_span("shop", attributes={"windlass.service": "shop"}) as span:
        delivered = client.enqueue("round_trip", {"addresses": ADDRESSES}, wait_for_result=True)
    if delivered != list(ADDRESSES):
        raise SystemExit(f"delivered to {delivered}")
    return f"{span.get_span_context().trace_id:032x}"


def arrived(back_end: Phoenix, trace_id: str) -> list[Span]:
    """Wait until as many spans have come in as there should be."""
    deadline = time.monotonic() + _ARRIVE_SECONDS
    while True:
        spans = back_end.trace(trace_id)
        if len(spans) >= sum(EXPECTED.values()) or time.monotonic() > deadline:
            return spans
        time.sleep(0.2)


def show(spans: list[Span], parent_id: str = "", depth: int = 0) -> None:
    """Print the tree."""
    for span in spans:
        if span.parent_id == parent_id:
            attempt = "" if span.attempt is None or "process" not in span.name else f" (attempt {span.attempt})"
            error = "  ERROR" if span.is_error else ""
            print(f"{'  ' * depth}{span.name}{attempt}{error}  [{span.service or 'your code'}]")
            show(spans, span.span_id, depth + 1)


def check(spans: list[Span]) -> list[str]:
    """Tell what is not as it should be."""
    by_id = {span.span_id: span for span in spans}
    wrong = [
        f"{count} × {name}, expected {EXPECTED.get(name, 0)}"
        for name, count in (Counter(span.name for span in spans) | Counter(dict.fromkeys(EXPECTED, 0))).items()
        if count != EXPECTED.get(name, 0)
    ]
    wrong += [f"{name} is missing" for name in EXPECTED if name not in {span.name for span in spans}]
    for span in spans:
        parent = by_id[span.parent_id].name if span.parent_id in by_id else ""
        operation, _, task = span.name.partition(" ")
        expected = {
            "shop": "",
            "send round_trip": "shop",
            "send parcel": "process round_trip",
            "look at the map": "process parcel",
        }.get(span.name, f"send {task}")
        if parent != expected:
            wrong.append(f"{operation} {task} hangs below {parent or 'nothing'}, expected {expected}")
    services = {span.service for span in spans if span.service}
    if services != SERVICES:
        wrong.append(f"services {sorted(services)}, expected {sorted(SERVICES)}")
    failed = [(span.name, span.attempt) for span in spans if span.is_error]
    if failed != [("process parcel", 1)]:
        wrong.append(f"failed: {failed}, expected one first attempt")
    return wrong


@contextmanager
def worker(environment: dict[str, str]) -> Iterator[None]:
    """Run `windlass worker`, which traces because the environment says so."""
    command = [sys.executable, "-m", "windlass.cli", "worker", "examples.tracing.tasks:app"]
    process = subprocess.Popen(command, env={**os.environ, **environment, "OTEL_SERVICE_NAME": "courier"})
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(*, keep: bool) -> int:
    """Give the exit code."""
    with phoenix() as back_end:
        endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": back_end.otlp_endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        os.environ.update(endpoint, OTEL_SERVICE_NAME="shop")
        with start_engine(settings=endpoint) as engine, Windlass(config=engine.config) as client:
            otel.instrument(client)
            with worker({**endpoint, "WINDLASS_API_ADDRESS": engine.api_address}):
                wait_for_a_worker(client)
                trace_id = deliver(client)
        provider = trace.get_tracer_provider()
        provider.force_flush()  # type: ignore[attr-defined]  # the SDK's, made by instrument()
        spans = arrived(back_end, trace_id)
        show(spans)
        wrong = check(spans)
        print("\n".join(wrong) or f"{len(spans)} spans, as expected: {back_end.url}/projects, trace {trace_id}")
        if keep:
            print("Phoenix stays up until Ctrl-C", flush=True)
            with suppress(KeyboardInterrupt):
                time.sleep(10**9)
    return 1 if wrong else 0


def wait_for_a_worker(client: Windlass) -> None:
    """Return once a worker serves the tasks."""
    deadline = time.monotonic() + _ARRIVE_SECONDS
    while not client.workers.list():
        if time.monotonic() > deadline:
            raise SystemExit("no worker came")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(keep="--keep" in sys.argv[1:]))
