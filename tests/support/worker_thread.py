"""A worker in a thread of its own, as `start()` runs it in a process of its own."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from windlass import Windlass
    from windlass.worker import Worker


@contextlib.contextmanager
def running_worker(app: Windlass, **options: Any) -> Iterator[Worker]:
    """A worker that is connected; stopped, with no grace, at the end."""
    worker = app.worker("test", **options)
    thread = threading.Thread(target=worker.start, name="test-worker")
    thread.start()
    try:
        assert worker.wait_ready(10)
        yield worker
    finally:
        worker.stop(grace=0, timeout=10)
        thread.join(10)
        assert not thread.is_alive()
