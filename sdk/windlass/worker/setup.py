"""Owns what whoever executes attempts is told of the worker whose they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from windlass.worker_labels import WorkerLabels


@dataclass(frozen=True, slots=True)
class Setup:
    """Whose attempts they are.

    Attributes:
        worker_id: the worker's.
        labels: the worker's, as they change.
        slots: attempts at a time.
        max_payload: largest output, in bytes.

    """

    worker_id: str
    labels: WorkerLabels
    slots: int
    max_payload: int

    def to_json(self) -> bytes:
        """Write it."""
        told = (self.worker_id, dict(self.labels.now), self.slots, self.max_payload)
        return json.dumps(told).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        worker_id, labels, slots, max_payload = json.loads(text)
        return cls(worker_id, WorkerLabels(labels), slots, max_payload)
