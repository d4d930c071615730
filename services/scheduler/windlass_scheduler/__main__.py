"""The composition root of the scheduler's process."""

import sys

from windlass_core.service import serve
from windlass_core.settings import SchedulerSettings
from windlass_scheduler.scheduler import Scheduler


def main() -> int:
    """Runs until SIGTERM. Returns the exit code."""
    return serve("scheduler", SchedulerSettings, Scheduler)


if __name__ == "__main__":
    sys.exit(main())
