"""The composition root of the api's process."""

import sys

from windlass_api.api import Api
from windlass_core.service import serve
from windlass_core.settings import ApiSettings


def main() -> int:
    """Runs until SIGTERM. Returns the exit code."""
    return serve("api", ApiSettings, Api)


if __name__ == "__main__":
    sys.exit(main())
