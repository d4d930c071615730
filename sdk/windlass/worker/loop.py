"""Owns how the loop that tasks execute on is closed."""

from __future__ import annotations

import asyncio
from typing import Final

# How long async tasks that were cancelled at the end may take to clean up.
CLEAN_UP_SECONDS: Final = 1.0


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Close the loop; what ignores being cancelled is left behind."""
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLEAN_UP_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
