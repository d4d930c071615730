"""Owns how an exception, and any text, becomes what the contracts take: named, bounded, UTF-8.

Whether a failure is retried is decided by the engine; what can never succeed is marked here.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from windlass.exceptions import (
    InvalidInput,
    NonRetryableException,
    PayloadTooLarge,
    SerializationError,
    UnknownTask,
)
from windlass.v1 import run_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from windlass.worker.route import Route

MESSAGE_BYTES: Final = 16 * 1024
TRACEBACK_BYTES: Final = 32 * 1024
MOST_BASE_TYPES: Final = 20

# They would fail the same way again.
_HOPELESS: Final = (
    InvalidInput,
    NonRetryableException,
    PayloadTooLarge,
    SerializationError,
)
_OURS: Final = frozenset(
    {
        "contextlib",
        "windlass.held",
        "windlass.middleware",
        "windlass.resolution",
        "windlass.batch_task",
        "windlass.task",
        "windlass.worker.batching",
        "windlass.worker.invocation",
        "windlass.worker.runner",
        "windlass.worker.threads",
    }
)
_CUT: Final = "\n  ...\n"


def failure_of(error: BaseException) -> run_pb2.Failure:
    """Describe what a task raised, without the worker's own frames."""
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may do anything
        message = f"(its __str__ raised {type(broken).__name__})"
    return run_pb2.Failure(
        type=type(error).__name__,
        message=cut_end(message, MESSAGE_BYTES),
        traceback=traceback_of(error),
        non_retryable=isinstance(error, _HOPELESS),
        base_types=_base_types(type(error)),
    )


def unknown_task(route: Route, known: Iterable[Route]) -> run_pb2.Failure:
    """Describe that this worker has no such task, which another worker may have."""
    message = f"this worker has no task {_named(route)!r}; it has {', '.join(sorted(map(_named, known))) or 'none'}"
    return run_pb2.Failure(type=UnknownTask.__name__, message=cut_end(message, MESSAGE_BYTES))


def timed_out(limit_ms: int, stack: str) -> run_pb2.Failure:
    """Describe that an attempt ran longer than it may; `stack` is where it was."""
    return run_pb2.Failure(
        type="ExecutionTimeout",
        message=f"the attempt ran longer than its execution timeout of {limit_ms / 1000:g} s",
        traceback=cut_middle(stack, TRACEBACK_BYTES),
    )


def traceback_of(error: BaseException) -> str:
    """Give the traceback as text, from the first frame that is the user's."""
    lines = traceback.format_exception(type(error), error, _users_part(error.__traceback__))
    return cut_middle("".join(lines), TRACEBACK_BYTES)


def cut_end(text: str, limit: int) -> str:
    """Keep the first `limit` bytes of UTF-8; what has no UTF-8 form is escaped."""
    if len(text) * 4 <= limit and text.isascii():
        return text
    return _encode(text)[:limit].decode(errors="ignore")


def cut_middle(text: str, limit: int) -> str:
    """Keep both ends of a text that is over `limit` bytes of UTF-8."""
    encoded = _encode(text)
    if len(encoded) <= limit:
        return encoded.decode()
    half = (limit - len(_CUT)) // 2
    head = encoded[:half].decode(errors="ignore")
    return head + _CUT + encoded[-half:].decode(errors="ignore")


def _base_types(type_: type[BaseException]) -> list[str]:
    """Name what an `except` would catch it by, besides its own type."""
    return [each.__name__ for each in type_.__mro__[1:] if issubclass(each, BaseException)][:MOST_BASE_TYPES]


def _named(route: Route) -> str:
    workflow, task = route
    return task if task == workflow else f"{workflow}'s {task}"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _users_part(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_ours(tb):
        tb = tb.tb_next
    return tb


def _is_ours(tb: TracebackType) -> bool:
    module = str(tb.tb_frame.f_globals.get("__name__", ""))
    return module in _OURS
