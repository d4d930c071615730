"""Owns what the Redis client's errors mean to the engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from windlass_core.domain.errors import StoreFull, StoreUnavailable

_UNREACHABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    OSError,
)

# Refusals that the client has no class for: the disk is full, the replicas are away, a foreign script
# takes too long, the store has just become a replica.
_PASSING = ("MISCONF", "NOREPLICAS", "BUSY", "UNBLOCKED")


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns the client's errors into StoreUnavailable and StoreFull; a script's own fault passes.

    The client may return as if nothing had been when its caller was cancelled meanwhile; here the
    cancelling is not lost. Use it inside a task.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError
    except exceptions.OutOfMemoryError as error:
        raise StoreFull("the store's memory is full: new work is refused for now") from error
    except _UNREACHABLE as error:
        raise StoreUnavailable(f"the store can't be reached: {error}") from error
    except exceptions.ResponseError as error:
        if "OOM" in str(error):
            raise StoreFull("the store's memory is full: new work is refused for now") from error
        if str(error).startswith(_PASSING):
            raise StoreUnavailable(f"the store takes no commands for now: {error}") from error
        raise
