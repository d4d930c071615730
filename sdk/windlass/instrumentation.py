"""Owns where an app is looked at from outside: what may stand in for its callers and its runners.

Imports nobody who looks. `windlass.otel` is the one that does.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.calling import Caller
    from windlass.client import Windlass
    from windlass.worker.runner import Runner

_log = logging.getLogger("windlass.otel")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Instrumentation(Protocol):
    """Makes callers and runners that do what the plain ones do, and tell of it."""

    def caller(self, *arguments: Any) -> Caller:
        """Make one, of a Caller's arguments."""

    def runner(self, *arguments: Any) -> Runner:
        """Make one, of a Runner's arguments."""


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables ask for traces, and say where to."""
    return (
        any(environment.get(name) for name in _ENDPOINTS)
        and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
    )


def follow_environment(app: Windlass) -> None:
    """Instrument an app where the environment asks for it; imports nothing where it does not."""
    if not is_wanted(os.environ):
        return
    try:
        from windlass import otel
    except ImportError as error:
        _log.warning("no traces, although an OTLP endpoint is set: pip install 'windlass[otel]' (%s)", error)
    else:
        otel.instrument(app)
