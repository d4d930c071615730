"""The composition root of the dispatcher's process."""

import sys

from windlass_core.service import serve
from windlass_core.settings import DispatcherSettings
from windlass_dispatcher.dispatcher import Dispatcher


def main() -> int:
    """Runs until SIGTERM. Returns the exit code."""
    return serve("dispatcher", DispatcherSettings, Dispatcher)


if __name__ == "__main__":
    sys.exit(main())
