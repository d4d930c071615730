"""What a session asks to be done, in the order in which it says so. Owns the shapes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The dispatcher has taken us in."""

    max_payload_bytes: int


@dataclass(frozen=True, slots=True)
class Start:
    """Execute these attempts, in this order."""

    assignments: list[dispatch_pb2.Assignment]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell these attempts that they are cancelled, and stop them `grace` seconds later."""

    lease_ids: list[str]
    reason: str
    grace: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop these attempts now; whatever they return is dropped."""

    lease_ids: list[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine did not record an outcome as it was reported."""

    run_id: str
    outcome: dispatch_pb2.ReportOutcome.ValueType


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Leave this stream and connect anew; to another dispatcher if `elsewhere`."""

    reason: str
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """So many bytes of what an attempt has streamed are settled; `refused`: the store is full, it takes no more."""

    lease_id: str
    size: int
    refused: bool


Effect: TypeAlias = Welcomed | Start | Cancel | Stop | Refused | Settled | Reconnect
