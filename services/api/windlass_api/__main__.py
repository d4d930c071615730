"""The composition root of the api's process."""

import os
import sys

from windlass_api.api import Api
from windlass_core.observation import wants
from windlass_core.service import serve
from windlass_core.settings import ApiSettings


def build(settings: ApiSettings) -> Api:
    """The service, with spans where OpenTelemetry's variables ask for them."""
    if wants("TRACES", os.environ):
        from windlass_api.tracing import TracedApi

        return TracedApi(settings)
    return Api(settings)


def main() -> int:
    """Runs until SIGTERM. Returns the exit code."""
    return serve("api", ApiSettings, build)


if __name__ == "__main__":
    sys.exit(main())
