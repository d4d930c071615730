"""Log lines name the span in which they were logged: those kept with a run, and the standard library's."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace

from tests.support.until import until
from windlass import Context, Windlass  # noqa: TC001 - read at run time, by the decorator

if TYPE_CHECKING:
    from tests.tracing.conftest import Serving

_log = logging.getLogger("tests.tracing")


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_lines_of_an_attempt_name_its_trace_and_span(
    app: Windlass, serving: Serving, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On the loop, and on threads."""

    def say(ctx: Context) -> list[str]:
        _log.warning("said")
        ctx.log("kept")
        context = trace.get_current_span().get_span_context()
        return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]

    if how == "async":

        @app.task(name="saying-async")
        async def saying(ctx: Context) -> list[str]:
            return say(ctx)
    else:

        @app.task(name="saying-sync")
        def saying(ctx: Context) -> list[str]:
            return say(ctx)

    async with serving(app):
        ref = await app.aio_enqueue(f"saying-{how}", {})
        ids = await ref.aio_result()
    (record,) = [record for record in caplog.records if record.getMessage() == "said"]
    assert [vars(record)["trace_id"], vars(record)["span_id"]] == ids
    run_id = ref.workflow_run_id
    await asyncio.to_thread(until, lambda: bool(app.logs.list(run_id)), "its lines are kept")
    lines = await app.logs.aio_list(run_id)
    assert [(line.message, line.trace_id, line.span_id) for line in lines] == [("said", *ids), ("kept", *ids)]


async def test_outside_of_spans_records_have_empty_ids(app: Windlass, caplog: pytest.LogCaptureFixture) -> None:
    """A format that names them works everywhere."""
    assert app.instrumentation is not None
    with caplog.at_level(logging.WARNING):
        _log.warning("outside")
    (record,) = [record for record in caplog.records if record.getMessage() == "outside"]
    assert (vars(record)["trace_id"], vars(record)["span_id"]) == ("", "")
