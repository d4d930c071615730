"""Attempts in child processes are traced by the children."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.otlp_sink import OtlpSink
    from tests.tracing.conftest import MakingProvider
    from windlass import Windlass
    from windlass.testing import Engine

_TASKS = """
    from windlass import Windlass

    app = Windlass()

    @app.task
    def inner(word: str) -> str:
        return word

    @app.task
    async def shared(word: str) -> str:
        return await inner.aio_run(word)

    @app.task(executor="process")
    def alone(word: str) -> str:
        return inner.run(word)
"""


@contextmanager
def _worker(folder: Path, engine: Engine, sink: OtlpSink) -> Iterator[None]:
    (folder / "traced.py").write_text(textwrap.dedent(_TASKS))
    environment = {
        **os.environ,
        "WINDLASS_API_ADDRESS": engine.api_address,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "OTEL_SERVICE_NAME": "children",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }
    command = [sys.executable, "-m", "windlass.cli", "worker", "traced"]
    with subprocess.Popen(command, cwd=folder, env=environment) as worker:
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(30)


@pytest.mark.parametrize("task", ["shared", "alone"])
async def test_children_trace_what_they_execute_and_send(
    client: Windlass, traced_engine: Engine, sink: OtlpSink, provider_of: MakingProvider, tmp_path: Path, task: str
) -> None:
    """The environment asks for it; the spans of runs that a task submits hang below its own."""
    with _worker(tmp_path, traced_engine, sink):
        await asyncio.to_thread(until, lambda: bool(client.workers.list()), "the worker is connected")
        with provider_of("caller").get_tracer("test").start_as_current_span("caller") as span:
            assert await client.aio_enqueue(task, {"word": "x"}, wait_for_result=True, timeout=60) == "x"
        trace_id = f"{span.get_span_context().trace_id:032x}"
        spans = await asyncio.to_thread(sink.wait_for, trace_id, f"process {task}", "send inner", "process inner")
    process, send = (next(each for each in spans if each.name == name) for name in (f"process {task}", "send inner"))
    assert process.service == send.service == "children"
    assert send.parent_id == process.span_id
