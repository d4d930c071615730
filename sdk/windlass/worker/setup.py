"""Owns what whoever executes attempts is told of the worker whose they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Setup:
    """Whose attempts they are.

    Attributes:
        worker_id: the worker's.
        labels: the worker's.
        slots: attempts at a time.
        max_payload: largest output, in bytes.

    """

    worker_id: str
    labels: dict[str, str]
    slots: int
    max_payload: int

    def to_json(self) -> bytes:
        """Write it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
