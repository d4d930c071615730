"""Owns idempotency keys: what one may be, for how long it counts, and what is the same content.

Who has a key, and what becomes of a submit that finds it taken, is the store's.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from windlass.v1 import run_pb2, workflow_pb2
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.expression import Expression, Scope, check_expression
from windlass_core.domain.limits import MAX_DURATION_MS

MAX_KEY_BYTES: Final = 500
DEFAULT_WINDOW_MS: Final = 24 * 3600 * 1000

#: As the scripts read it: `[key, digest of the content, window ms or 0: until the run has ended, conflict]`.
Claim: TypeAlias = list[str | int]

_CONFLICTS: Final[dict[int, str]] = {
    workflow_pb2.IDEMPOTENCY_CONFLICT_UNSPECIFIED: "same",
    workflow_pb2.IDEMPOTENCY_CONFLICT_REJECT: "reject",
    workflow_pb2.IDEMPOTENCY_CONFLICT_RETURN_EXISTING: "return",
    workflow_pb2.IDEMPOTENCY_CONFLICT_REPLACE: "replace",
}


@dataclass(frozen=True, slots=True)
class KeyedRuns:
    """How runs without a key of their own get one."""

    expression: Expression
    message: workflow_pb2.IdempotencyDefinition

    def key_of(self, scope: Scope, field: str) -> run_pb2.Idempotency | None:
        """The run's, None where the expression gives ''. Raises InvalidField."""
        key = self.expression.text_of(scope, field)
        if not key:
            return None
        asked = self.message
        return run_pb2.Idempotency(
            key=key,
            window_ms=asked.window_ms,
            until_terminal=asked.until_terminal,
            on_conflict=asked.on_conflict,
        )


def check_keyed_runs(message: workflow_pb2.WorkflowDefinition, field: str) -> KeyedRuns | None:
    """What a definition says of keys, None for nothing. Raises InvalidField below `field`."""
    if not message.HasField("idempotency"):
        return None
    asked, path = message.idempotency, f"{field}.idempotency"
    expression = check_expression(asked.expression, f"{path}.expression", f"the idempotency key of {message.name!r}")
    _check_bounds(asked, path)
    return KeyedRuns(expression, asked)


def claim_of(
    asked: run_pb2.Idempotency, spec: run_pb2.RunSpec, given: Any, metadata: Mapping[str, Any], prefix: str, field: str
) -> Claim:
    """What a run claims. `given` is its input and `metadata` that of the caller, `prefix` names the workflow.

    Raises InvalidField, with a field below `field`.
    """
    # An expression may give what is no text by itself.
    key = asked.key.encode(errors="surrogatepass")
    if not 1 <= len(key) <= MAX_KEY_BYTES:
        raise InvalidField(f"{field}.key: expected 1 to {MAX_KEY_BYTES} bytes, got {len(key)}", f"{field}.key")
    _check_bounds(asked, field)
    window_ms = 0 if asked.until_terminal else asked.window_ms or DEFAULT_WINDOW_MS
    # Keys hold people's addresses and numbers of orders: no key of the store spells them.
    name = f"{prefix}|{_digest(key)}"
    return [name, _content(spec, given, metadata), window_ms, _CONFLICTS[asked.on_conflict]]


def _check_bounds(asked: run_pb2.Idempotency | workflow_pb2.IdempotencyDefinition, field: str) -> None:
    if asked.window_ms > MAX_DURATION_MS:
        path = f"{field}.window_ms"
        raise InvalidField(f"{path}: expected at most 366 days, got {asked.window_ms} ms", path)
    if asked.window_ms and asked.until_terminal:
        path = f"{field}.window_ms"
        raise InvalidField(f"{path}: expected none beside until_terminal, got {asked.window_ms} ms", path)
    if asked.on_conflict not in _CONFLICTS:
        path = f"{field}.on_conflict"
        raise InvalidField(f"{path}: expected an IdempotencyConflict, got {asked.on_conflict}", path)


def _content(spec: run_pb2.RunSpec, given: Any, metadata: Mapping[str, Any]) -> str:
    """What has to be alike: what is to be done, and how; not who asked, when, from where."""
    parts = [
        given,
        metadata,
        spec.priority,
        spec.queue,
        spec.retry.SerializeToString(deterministic=True).hex(),
        spec.placement.SerializeToString(deterministic=True).hex(),
    ]
    return _digest(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()
