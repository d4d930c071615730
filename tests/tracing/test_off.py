"""Where nobody asks for traces, nothing of OpenTelemetry's traces is loaded.

Its metrics are: by redis-py, for itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from windlass.instrumentation import is_wanted

_LOADED = """
import asyncio, json, sys
{program}
suspects = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "windlass.otel")
print(json.dumps([name for name in sys.modules if name.startswith(suspects)]))
"""

_SERVICE = """
from windlass_{name}.__main__ import {build}
from windlass_core.settings import {settings}
async def main():
    return {build}({settings}())
asyncio.run(main())
"""

_CLIENT = """
from windlass import Windlass
from windlass.calling import Caller
from windlass.worker.runner import Runner
from windlass.instrumentation import follow_environment
app = Windlass()
follow_environment(app)
assert app.instrumentation is None
"""


def _loaded(program: str, **settings: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "WINDLASS_"))}
    told = subprocess.run(
        [sys.executable, "-c", _LOADED.format(program=program)],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names: list[str] = json.loads(told.stdout)
    return names


@pytest.mark.parametrize(
    "program",
    [
        _SERVICE.format(name="api", build="build", settings="ApiSettings"),
        _SERVICE.format(name="dispatcher", build="build", settings="DispatcherSettings"),
        _SERVICE.format(name="scheduler", build="Scheduler", settings="SchedulerSettings"),
        _CLIENT,
    ],
    ids=["api", "dispatcher", "scheduler", "client and worker"],
)
def test_nothing_is_loaded_where_nobody_asks(program: str) -> None:
    """And with an endpoint it is: the test would notice."""
    assert _loaded(program) == []
    asked = program.replace("assert app.instrumentation is None\n", "")
    assert _loaded(asked, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4317"}, False),
    ],
)
def test_opentelemetrys_own_variables_decide(environment: dict[str, str], wanted: bool) -> None:
    """An endpoint, and nothing against it."""
    assert is_wanted(environment) is wanted
