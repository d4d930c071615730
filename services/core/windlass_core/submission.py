"""Owns what a submission must look like, and what is stored of it."""

import json
import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import from_json

from windlass.v1 import run_pb2, run_service_pb2
from windlass_core.domain.definition import Definition, TaskTerms, check_duration, check_level, check_policy
from windlass_core.domain.errors import InvalidField, TooLarge
from windlass_core.domain.expression import Scope
from windlass_core.domain.idempotency import claim_of
from windlass_core.domain.limits import MAX_METADATA_BYTES, MAX_MOMENT_MS, MAX_NAME_LENGTH, MAX_PAYLOAD_BYTES
from windlass_core.domain.names import check_name, check_run_id, flow_name, mint_run_id
from windlass_core.domain.placement import NO_HOME, PLAIN, Demand, Home, check_run_demand
from windlass_core.domain.trace import recorded
from windlass_core.store.runs import Submission

_NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})
_MAX_TRACE_BYTES = 1024
# All of a run's spec: its input, its metadata with the definition's, and the names and lists besides.
_MAX_SPEC_BYTES = MAX_PAYLOAD_BYTES + 3 * MAX_METADATA_BYTES
# A hook's: besides, the output of the run that it follows, or how that failed, and the names.
_MAX_HOOK_BYTES = _MAX_SPEC_BYTES + MAX_PAYLOAD_BYTES + MAX_METADATA_BYTES


def check_submission(
    submission: run_service_pb2.RunSubmission,
    definition: Definition,
    *,
    namespace: str,
    wait: bool,
    path: str,
    limits: Mapping[str, int] = _NO_LIMITS,
    by_engine: bool = False,
    home: Home = NO_HOME,
) -> Submission:
    """What the store takes; `limits` are the rate limits that the definition names, in units.

    Only what the engine itself submits names a cron, or is the run of a hook. `home` is where the parent task
    run is, for a sticky one.

    Raises InvalidField, and NotFound for a limit that nobody has put, with a field below `path`.
    """
    spec = submission.spec
    if submission.run_id:
        run_id = check_run_id(submission.run_id, f"{path}.run_id")
    else:
        run_id = mint_run_id(time.time_ns() // 1_000_000, os.urandom(10))
    if not by_engine:
        _check_own(spec, f"{path}.spec")
    given = _check_input(spec.input_json, f"{path}.spec.input_json")
    metadata: Mapping[str, Any] = {}
    if spec.metadata_json or definition.metadata:
        spec, metadata = _with_metadata(spec, definition, f"{path}.spec.metadata_json")
    level = check_level(spec.priority, f"{path}.spec.priority") or definition.level
    queue = check_name(spec.queue, f"{path}.spec.queue") if spec.queue else definition.queue
    delay_ms = check_duration(spec.delay_ms, f"{path}.spec.delay_ms")
    expires_ms = _check_expiry(spec, definition.task, f"{path}.spec.expires_ms")
    if spec.run_at_ms:
        _check_timing(spec, f"{path}.spec")
    if spec.HasField("retry"):
        check_policy(spec.retry, f"{path}.spec.retry")
    if spec.parent_task_run_id:
        check_run_id(spec.parent_task_run_id, f"{path}.spec.parent_task_run_id")
    _check_lengths(spec, path)
    more: dict[str, Any] = {}
    if definition.keyed is not None or spec.HasField("idempotency"):
        spec = _with_key(spec, definition, Scope(given, metadata), f"{path}.spec.idempotency")
        more |= _claim(spec, submission.spec.metadata_json, given, f"{namespace}|{definition.name}", path)
    serialized = _serialize(spec, f"{path}.spec")
    if definition.has_gates:
        more |= _gates_of(definition, namespace, Scope(given, metadata), limits, f"{path}.spec")
    if definition.hooks:
        more["hk"] = "".join(definition.hooks)
    if spec.run_at_ms:
        more["at"] = spec.run_at_ms
    demand = _demand_of(spec, definition.task, home, path)
    if demand is not PLAIN:
        more["p"] = demand.entry()
    return Submission(
        run_id,
        serialized,
        flow_name(namespace, queue, definition.name, demand.name()),
        level,
        definition.version,
        delay_ms,
        expires_ms,
        definition.task.execution_timeout_ms,
        wait,
        spec.parent_task_run_id,
        recorded(spec.traceparent),
        more or None,
    )


def _check_own(spec: run_pb2.RunSpec, path: str) -> None:
    """A caller says nothing of what is the engine's to say, and no more than it may: a hook has the defaults too."""
    if len(spec.metadata_json) > MAX_METADATA_BYTES:
        field = f"{path}.metadata_json"
        raise TooLarge(
            f"{field}: {len(spec.metadata_json)} bytes are over the limit of 64 KiB", field, MAX_METADATA_BYTES
        )
    for name, is_said in (("cron_id", spec.cron_id), ("hook", spec.HasField("hook"))):
        if is_said:
            raise InvalidField(f"{path}.{name}: the engine sets it, callers leave it out", f"{path}.{name}")


def _serialize(spec: run_pb2.RunSpec, path: str) -> bytes:
    serialized = spec.SerializeToString()
    limit = _MAX_HOOK_BYTES if spec.HasField("hook") else _MAX_SPEC_BYTES
    if len(serialized) > limit:
        # Fields that this engine does not know are kept: they count too.
        raise TooLarge(f"{path}: {len(serialized)} bytes are over the limit of {limit}", path, limit)
    return serialized


def _gates_of(
    definition: Definition, namespace: str, scope: Scope, limits: Mapping[str, int], path: str
) -> dict[str, Any]:
    for hook in definition.hooks.values():
        if hook.gates is not None:
            # What its run would be refused for is told now, while there is somebody to tell.
            hook.gates.of_run(namespace, scope, limits, path)
    gates = definition.task.gates.of_run(namespace, scope, limits, path) if definition.task.gates is not None else None
    return {"g": gates} if gates else {}


def _check_timing(spec: run_pb2.RunSpec, path: str) -> None:
    if not 0 <= spec.run_at_ms <= MAX_MOMENT_MS:
        field = f"{path}.run_at_ms"
        raise InvalidField(
            f"{field}: expected milliseconds since 1970 UTC, up to the year 9999, got {spec.run_at_ms}", field
        )
    if spec.run_at_ms and spec.delay_ms:
        field = f"{path}.delay_ms"
        raise InvalidField(f"{field}: expected none beside run_at_ms, which says when it starts", field)


def _check_expiry(spec: run_pb2.RunSpec, task: TaskTerms, field: str) -> int:
    """How long after its accept the run may wait for its start. A schedule timeout counts from the end of a delay."""
    expires_ms = check_duration(spec.expires_ms, field)
    if not expires_ms:
        return spec.delay_ms + task.schedule_timeout_ms if task.schedule_timeout_ms else 0
    if expires_ms <= spec.delay_ms:
        raise InvalidField(f"{field}: expected more than the delay of {spec.delay_ms} ms, got {expires_ms} ms", field)
    return expires_ms


def _check_lengths(spec: run_pb2.RunSpec, path: str) -> None:
    for name, limit in (
        ("child_key", MAX_NAME_LENGTH),
        ("traceparent", _MAX_TRACE_BYTES),
        ("tracestate", _MAX_TRACE_BYTES),
    ):
        if len(getattr(spec, name)) > limit:
            field = f"{path}.spec.{name}"
            raise TooLarge(f"{field}: over {limit} bytes", field, limit)


def _demand_of(spec: run_pb2.RunSpec, task: TaskTerms, home: Home, path: str) -> Demand:
    """What the run demands of its worker; PLAIN itself where that is nothing."""
    if not spec.HasField("placement"):
        return task.demand
    demand = check_run_demand(spec.placement, task.demand, home, f"{path}.spec.placement")
    return PLAIN if demand.is_plain else demand


def _with_key(spec: run_pb2.RunSpec, definition: Definition, scope: Scope, field: str) -> run_pb2.RunSpec:
    """The spec with the key that the definition gives it where it has none of its own."""
    if definition.keyed is None or spec.HasField("idempotency"):
        return spec
    asked = definition.keyed.key_of(scope, field)
    if asked is None:
        return spec
    keyed = run_pb2.RunSpec()
    keyed.CopyFrom(spec)
    keyed.idempotency.CopyFrom(asked)
    return keyed


def _claim(spec: run_pb2.RunSpec, own_metadata: bytes, given: Any, prefix: str, path: str) -> dict[str, Any]:
    if not spec.HasField("idempotency"):
        return {}
    metadata = from_json(own_metadata or b"{}")
    return {"i": claim_of(spec.idempotency, spec, given, metadata, prefix, f"{path}.spec.idempotency")}


def _check_input(text: bytes, field: str) -> Any:
    """The input as JSON has it."""
    if len(text) > MAX_PAYLOAD_BYTES:
        raise TooLarge(
            f"{field}: {len(text)} bytes are over the limit of {MAX_PAYLOAD_BYTES} (1 MiB); "
            "pass a reference to large data",
            field,
            MAX_PAYLOAD_BYTES,
        )
    try:
        return from_json(text, allow_inf_nan=False) if text else {}
    except ValueError as error:
        raise InvalidField(f"{field}: expected JSON: {error}", field) from error


def _with_metadata(
    spec: run_pb2.RunSpec, definition: Definition, field: str
) -> tuple[run_pb2.RunSpec, Mapping[str, Any]]:
    """The spec with its metadata checked, and the definition's defaults under it; and that metadata."""
    try:
        given = from_json(spec.metadata_json or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise InvalidField(f"{field}: expected JSON: {error}", field) from error
    if not isinstance(given, dict):
        raise InvalidField(f"{field}: expected a JSON object", field)
    if definition.metadata:
        merged = run_pb2.RunSpec()
        merged.CopyFrom(spec)
        both = {**definition.metadata, **given}
        merged.metadata_json = json.dumps(both).encode()
        return merged, both
    return spec, given
