"""Owns what a user can say about idempotency keys: one run for all submits with a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from windlass.duration import Duration, to_milliseconds
from windlass.expression import check_expression

if TYPE_CHECKING:
    from windlass.v1 import run_pb2, workflow_pb2

OnConflict: TypeAlias = Literal["same", "reject", "return", "replace"]

_LONGEST_KEY: Final = 500
#: By their numbers in IdempotencyConflict.
_CONFLICTS: Final[tuple[OnConflict, ...]] = ("same", "reject", "return", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """One run for all submits with one key, whoever submits. Keys are the task's own.

    Args:
        key: at a call: the key, 1 to 500 bytes.
        expression: on a task, in place of a key: CEL over `input` and `metadata` that gives the key of each
            run that has none of its own; '' gives it none.
        window: how long after the submit the key counts, as a duration. Unless given: 24 hours.
        until_terminal: the key counts until its run has ended, and not for a time.
        on_conflict: what a submit with the key of another run finds. "same": that run where input, metadata,
            priority, queue, retry and placement are the same, else AlreadyExists; "reject": AlreadyExists;
            "return": that run, whatever its content; "replace": that run is cancelled for the new one.

    """

    key: str | None = None
    expression: str | None = None
    window: Duration | None = None
    until_terminal: bool = False
    on_conflict: OnConflict = "same"

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if (self.key is None) == (self.expression is None):
            msg = "Idempotency takes a key at a call, or an expression on a task"
            raise ValueError(msg)
        if self.key is not None:
            _check_key(self.key)
        if self.expression is not None:
            check_expression(self.expression, "expression")
        if self.window is not None and self.until_terminal:
            msg = "window= and until_terminal=: one of the two was expected"
            raise ValueError(msg)
        if self.window is not None and to_milliseconds(self.window, "window") == 0:
            msg = "window=0: a length of time above 0 was expected"
            raise ValueError(msg)
        if self.on_conflict not in _CONFLICTS:
            msg = f"on_conflict={self.on_conflict!r}: one of {', '.join(_CONFLICTS)} was expected"
            raise ValueError(msg)

    @property
    def _window_ms(self) -> int:
        return 0 if self.window is None else to_milliseconds(self.window, "window")

    def to_proto(self) -> run_pb2.Idempotency:
        """Write it as a submit has it. Raises ValueError where it has no key."""
        from windlass.v1 import run_pb2, workflow_pb2

        if self.key is None:
            msg = "idempotency= takes a key at a call: expressions stand on tasks"
            raise ValueError(msg)
        return run_pb2.Idempotency(
            key=self.key,
            window_ms=self._window_ms,
            until_terminal=self.until_terminal,
            on_conflict=workflow_pb2.IdempotencyConflict.ValueType(_CONFLICTS.index(self.on_conflict)),
        )

    def to_definition(self) -> workflow_pb2.IdempotencyDefinition:
        """Write it as a definition has it. Raises ValueError where it has no expression."""
        from windlass.v1 import workflow_pb2

        if self.expression is None:
            msg = "idempotency= takes an expression on a task: keys stand at calls"
            raise ValueError(msg)
        return workflow_pb2.IdempotencyDefinition(
            expression=self.expression,
            window_ms=self._window_ms,
            until_terminal=self.until_terminal,
            on_conflict=workflow_pb2.IdempotencyConflict.ValueType(_CONFLICTS.index(self.on_conflict)),
        )


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        msg = f"an idempotency key is a string, not {key!r}"
        raise TypeError(msg)
    size = len(key.encode())
    if not 1 <= size <= _LONGEST_KEY:
        msg = f"an idempotency key has 1 to {_LONGEST_KEY} bytes, not {size}"
        raise ValueError(msg)


def read_idempotency(key: str | None, idempotency: Idempotency | None) -> run_pb2.Idempotency | None:
    """Read a call's two options, of which the key alone is the short one. Raises ValueError, TypeError."""
    if key is None:
        return None if idempotency is None else idempotency.to_proto()
    if idempotency is not None:
        msg = "idempotency= has the key too: leave out idempotency_key="
        raise ValueError(msg)
    return Idempotency(key=key).to_proto()
