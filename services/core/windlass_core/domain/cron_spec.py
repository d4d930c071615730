"""Owns what a cron must look like, whether a call makes it or a definition declares it, and its id."""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic_core import from_json

from windlass.v1 import schedule_pb2, workflow_pb2
from windlass_core.domain.cron import check_schedule
from windlass_core.domain.errors import InvalidField, TooLarge
from windlass_core.domain.levels import LEVELS
from windlass_core.domain.limits import (
    MAX_CRONS_PER_DEFINITION,
    MAX_METADATA_BYTES,
    MAX_NAME_LENGTH,
    MAX_PAYLOAD_BYTES,
)
from windlass_core.domain.names import check_name

_ID = re.compile(r"cr_[0-9a-f]{20}")
_OVERLAPS: dict[int, str] = {workflow_pb2.OVERLAP_SKIP: "skip", workflow_pb2.OVERLAP_CANCEL_OTHER: "cancel"}


class CheckedCron(NamedTuple):
    """A cron as the store takes it. `times` changes when it is due at other times."""

    cron_id: str
    workflow: str
    name: str
    body: bytes
    overlap: str
    times: str


def cron_id_of(namespace: str, workflow: str, name: str, *, declared: bool) -> str:
    """The id of a cron: the same for the same name, so that whoever makes it makes one."""
    parts = "\n".join((namespace, workflow, name, "declared" if declared else "made"))
    return f"cr_{hashlib.blake2b(parts.encode(), digest_size=10).hexdigest()}"


def check_cron_id(cron_id: str, field: str) -> str:
    """The id itself. Raises InvalidField where it can't be one."""
    if not _ID.fullmatch(cron_id):
        raise InvalidField(f"{field}: expected an id like cr_0123456789abcdef0123, got {cron_id[:60]!r}", field)
    return cron_id


def check_cron(spec: schedule_pb2.CronSpec, namespace: str, field: str, *, declared: bool = False) -> CheckedCron:
    """The cron, checked. Raises InvalidField, which names the field below `field`.

    Whether its workflow is registered, and what that makes of the input, is not looked at.
    """
    check_name(spec.workflow_name, f"{field}.workflow_name")
    schedule = f"{field}.schedule"
    name = _check_cron_name(spec.schedule, schedule)
    check_schedule(spec.schedule.expression, spec.schedule.timezone, schedule)
    _check_choices(spec.schedule, schedule)
    _check_json(spec.schedule.input_json, f"{schedule}.input_json", MAX_PAYLOAD_BYTES, "1 MiB")
    metadata = _check_json(spec.metadata_json, f"{field}.metadata_json", MAX_METADATA_BYTES, "64 KiB")
    if not isinstance(metadata, dict):
        raise InvalidField(f"{field}.metadata_json: expected a JSON object", f"{field}.metadata_json")
    if spec.priority and spec.priority not in LEVELS:
        path = f"{field}.priority"
        raise InvalidField(f"{path}: expected 1 (LOW) to 4 (CRITICAL), got {spec.priority}", path)
    return CheckedCron(
        cron_id_of(namespace, spec.workflow_name, name, declared=declared),
        spec.workflow_name,
        name,
        spec.SerializeToString(deterministic=True),
        _OVERLAPS.get(spec.schedule.overlap, ""),
        f"{spec.schedule.expression}\n{spec.schedule.timezone}",
    )


def check_declared(
    crons: Sequence[workflow_pb2.CronDefinition], workflow: str, field: str
) -> tuple[schedule_pb2.CronSpec, ...]:
    """The crons that a definition declares, each with a name. Raises InvalidField, below `field`."""
    if len(crons) > MAX_CRONS_PER_DEFINITION:
        raise InvalidField(f"{field}: expected at most {MAX_CRONS_PER_DEFINITION}, got {len(crons)}", field)
    specs = []
    names: set[str] = set()
    for place, cron in enumerate(crons):
        path = f"{field}[{place}]"
        spec = schedule_pb2.CronSpec(workflow_name=workflow, schedule=cron)
        spec.schedule.name = _check_cron_name(cron, path)
        check_schedule(cron.expression, cron.timezone, path)
        _check_choices(cron, path)
        _check_json(cron.input_json, f"{path}.input_json", MAX_PAYLOAD_BYTES, "1 MiB")
        if spec.schedule.name in names:
            raise InvalidField(
                f"{path}.name: {spec.schedule.name!r} stands here twice: give one of them another name", f"{path}.name"
            )
        names.add(spec.schedule.name)
        specs.append(spec)
    return tuple(specs)


def _check_cron_name(cron: workflow_pb2.CronDefinition, field: str) -> str:
    name = cron.name or cron.expression
    if not (0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()):
        # Without a name it is the expression that is at fault.
        path = f"{field}.{'name' if cron.name else 'expression'}"
        raise InvalidField(f"{path}: expected 1 to {MAX_NAME_LENGTH} printable characters, got {name[:60]!r}", path)
    return name


def _check_choices(cron: workflow_pb2.CronDefinition, field: str) -> None:
    for name, kind in (("catch_up", workflow_pb2.CatchUp), ("overlap", workflow_pb2.Overlap)):
        number = getattr(cron, name)
        if number not in kind.values():
            names = ", ".join([*kind.DESCRIPTOR.values_by_name][1:])
            raise InvalidField(f"{field}.{name}: expected one of {names}, got {number}", f"{field}.{name}")


def _check_json(text: bytes, field: str, limit: int, shown: str) -> object:
    if len(text) > limit:
        raise TooLarge(f"{field}: {len(text)} bytes are over the limit of {limit} ({shown})", field, limit)
    try:
        return from_json(text, allow_inf_nan=False) if text else {}
    except ValueError as error:
        raise InvalidField(f"{field}: expected JSON: {error}", field) from error
