"""The composition root of the dispatcher's process."""

import os
import sys

from windlass_core.observation import wants
from windlass_core.service import serve
from windlass_core.settings import DispatcherSettings
from windlass_dispatcher.dispatcher import Dispatcher


def build(settings: DispatcherSettings) -> Dispatcher:
    """The service, with spans where OpenTelemetry's variables ask for them."""
    if wants("TRACES", os.environ):
        from windlass_dispatcher.tracing import TracedDispatcher

        return TracedDispatcher(settings)
    return Dispatcher(settings)


def main() -> int:
    """Runs until SIGTERM. Returns the exit code."""
    return serve("dispatcher", DispatcherSettings, build)


if __name__ == "__main__":
    sys.exit(main())
