"""Owns how what the engine tells of errors and failures becomes the SDK's own. Of gRPC it knows nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from windlass.exceptions import (
    AlreadyExists,
    EngineBusy,
    InvalidInput,
    MissingScope,
    NoDispatcher,
    NotFound,
    PayloadTooLarge,
    ProtocolError,
    RunIdTaken,
    ServerFault,
    SlowReader,
    StoreFull,
    StoreUnavailable,
    TaskRunError,
    Unauthorized,
    UnknownRun,
    UnknownTask,
    UnknownWorker,
    WindlassError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.v1 import error_pb2, run_pb2


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_detail(detail: error_pb2.ErrorDetail) -> WindlassError:
    """Turn the engine's typed detail into the error that says the same."""
    build = _BY_REASON.get(detail.reason)
    if build is None:
        return ServerFault(detail.message or "the engine gave no reason")
    return build(detail)


def from_failure(run_id: str, failure: run_pb2.Failure) -> TaskRunError:
    """Turn a recorded failure into the error that `result()` raises."""
    attempts = f" (attempt {failure.attempt})" if failure.attempt > 1 else ""
    said = f": {failure.message}" if failure.message else ""
    last = " (not tried again: the retry budget of its workflow is used up)" if failure.out_of_budget else ""
    return TaskRunError(
        f"run {run_id} failed{attempts}: {failure.type or 'unknown error'}{said}{last}",
        run_id=run_id,
        type=failure.type,
        error=failure.message,
        traceback=failure.traceback,
        attempt=failure.attempt,
        non_retryable=failure.non_retryable,
        replay=failure.replay,
        out_of_budget=failure.out_of_budget,
        worker_id=failure.worker_id,
        started_at=_moment(failure.started_at_ms),
        failed_at=_moment(failure.failed_at_ms),
    )


def _moment(milliseconds: int) -> datetime | None:
    return _EPOCH + timedelta(milliseconds=milliseconds) if milliseconds else None


def _with_field(detail: error_pb2.ErrorDetail) -> InvalidInput:
    where = f"{detail.field}: " if detail.field and detail.field not in detail.message else ""
    return InvalidInput(where + detail.message, field=detail.field)


def _seconds(detail: error_pb2.ErrorDetail) -> float:
    return detail.retry_after_ms / 1000


def _scopes(detail: error_pb2.ErrorDetail) -> tuple[str, ...]:
    from windlass.v1 import token_pb2

    return tuple(token_pb2.TokenScope.Name(s).removeprefix("TOKEN_SCOPE_").lower() for s in detail.missing_scopes)


#: ErrorReason (by number: the stubs load on first use) to the error that it becomes.
_BY_REASON: dict[int, Callable[[error_pb2.ErrorDetail], WindlassError]] = {
    1: _with_field,
    2: lambda detail: UnknownTask(detail.message),
    3: lambda detail: UnknownRun(detail.message),
    4: lambda detail: UnknownWorker(detail.message),
    5: lambda detail: PayloadTooLarge(detail.message, limit=detail.limit),
    6: lambda detail: RunIdTaken(detail.message),
    7: lambda detail: StoreUnavailable(detail.message, retry_after=_seconds(detail)),
    8: lambda detail: StoreFull(detail.message, retry_after=_seconds(detail)),
    9: lambda detail: ProtocolError(detail.message),
    10: lambda detail: NoDispatcher(detail.message, retry_after=_seconds(detail)),
    11: lambda detail: StoreUnavailable(detail.message, retry_after=_seconds(detail)),
    12: lambda detail: ServerFault(detail.message),
    13: lambda detail: Unauthorized(detail.message, why="missing"),
    14: lambda detail: Unauthorized(detail.message, why="unknown"),
    15: lambda detail: Unauthorized(detail.message, why="expired"),
    16: lambda detail: Unauthorized(detail.message, why="revoked"),
    17: lambda detail: MissingScope(detail.message, scopes=_scopes(detail)),
    18: lambda detail: AlreadyExists(detail.message, field=detail.field),
    19: lambda detail: NotFound(detail.message, field=detail.field),
    20: lambda detail: SlowReader(detail.message, retry_after=_seconds(detail)),
    21: lambda detail: EngineBusy(detail.message, retry_after=_seconds(detail), limit=detail.limit),
}
