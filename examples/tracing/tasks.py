"""A delivery of four parcels, one of which has to be tried twice; the courier looks at a map."""

from __future__ import annotations

import asyncio

from opentelemetry import trace

from windlass import Context, RetryPolicy, Windlass

app = Windlass()

ADDRESSES = ("Elm Road", "Fir Lane", "Ash Street", "Oak Avenue")
NOBODY_AT_HOME = "Fir Lane"

_tracer = trace.get_tracer("courier")


@app.task(retry=RetryPolicy(max_attempts=2, initial_interval=0.2, jitter=False))
def parcel(ctx: Context, address: str) -> str:
    """Bring one parcel; it runs on a thread."""
    with _tracer.start_as_current_span("look at the map"):
        ctx.log(f"on the way to {address}")
    if address == NOBODY_AT_HOME and ctx.attempt_number == 1:
        raise LookupError(f"nobody at home in {address}")
    return address


@app.task
async def round_trip(addresses: list[str]) -> list[str]:
    """Bring all of them; it runs on the loop, and its children below it."""
    return list(await asyncio.gather(*(parcel.aio_run(address) for address in addresses)))
