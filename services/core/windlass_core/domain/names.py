"""Owns what names and ids may look like, and the names of flows."""

import re
import uuid

from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_NAME_LENGTH

DEFAULT_NAMESPACE = "default"
DEFAULT_QUEUE = "default"
# Of a name that is refused.
_SHOWN = 80

_NAME = re.compile(rf"[A-Za-z0-9._:/\-]{{1,{MAX_NAME_LENGTH}}}")
_SHORT_NAME = re.compile(r"[A-Za-z0-9._\-]{1,63}")
_WORKER_ID = re.compile(r"[A-Za-z0-9\-]{16,64}")
_RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def check_name(name: str, field: str) -> str:
    """The name itself. Raises InvalidField where it isn't 1 to 200 of letters, digits, `._:/-`."""
    return _check(_NAME, name, f"1 to {MAX_NAME_LENGTH} letters, digits or any of ._:/- ", field)


def check_namespace(name: str, field: str) -> str:
    """The name itself. Raises InvalidField where it isn't 1 to 63 of letters, digits, `._-`."""
    return _check(_SHORT_NAME, name, "1 to 63 letters, digits or any of ._- ", field)


def check_run_id(run_id: str, field: str) -> str:
    """The id itself. Raises InvalidField where it isn't a UUIDv7 in lower-case canonical form."""
    return _check(_RUN_ID, run_id, "a UUIDv7 like 01890a5d-ac96-774b-bcce-b302099a8057", field)


def check_worker_id(worker_id: str, field: str) -> str:
    """The id itself. Raises InvalidField where it isn't 16 to 64 letters, digits or dashes."""
    return _check(_WORKER_ID, worker_id, "16 to 64 letters, digits or dashes", field)


def mint_run_id(now_ms: int, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562, 5.7) out of a time in milliseconds and ten random bytes."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def check_pool(name: str, field: str) -> str:
    """The name of a pool of slots itself. Raises InvalidField where it isn't 1 to 63 of letters, digits, `._-`."""
    return _check(_SHORT_NAME, name, "1 to 63 letters, digits or any of ._- ", field)


def flow_name(namespace: str, queue: str, task: str, demand: str = "") -> str:
    """Runs that the same workers can take. None of the parts can hold the separator.

    `demand` is the name of what they demand of a worker, and no part of it for a plain one.
    """
    plain = f"{namespace}|{queue}|{task}"
    return f"{plain}|{demand}" if demand else plain


def flow_namespace(flow: str) -> str:
    """The namespace of a flow."""
    return flow.split("|", 1)[0]


def flow_queue(flow: str) -> str:
    """The queue of a flow."""
    return flow.split("|", 2)[1]


def flow_task(flow: str) -> str:
    """The task of a flow."""
    return flow.split("|", 3)[2]


def _check(pattern: re.Pattern[str], text: str, expected: str, field: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidField(f"{field}: expected {expected}, got {text[:_SHOWN]!r}", field)
    return text
