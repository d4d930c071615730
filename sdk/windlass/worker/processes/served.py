"""Owns what a supervisor has to know of the code that its children execute."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from windlass.config import ClientConfig
from windlass.v1 import workflow_pb2

if TYPE_CHECKING:
    from windlass.worker.processes.crew import Crew
    from windlass.worker.route import Route


@dataclass(frozen=True, slots=True)
class Served:
    """What is served.

    Attributes:
        config: how to connect.
        definitions: of the workflows.
        alone: the tasks that are executed in a child of their own.
        together: the tasks whose attempts are executed in one child.

    """

    config: ClientConfig
    definitions: list[workflow_pb2.WorkflowDefinition]
    alone: frozenset[Route]
    together: frozenset[Route]

    @classmethod
    def of(cls, crew: Crew) -> Self:
        """Say it of a crew."""
        return cls(crew.app.config, [each.definition() for each in crew.runnables.values()], crew.alone, crew.together)

    def to_json(self) -> dict[str, Any]:
        """Write it, for this machine's own processes: the token is in it."""
        config = self.config.model_dump()
        token = config["token"]
        return {
            "config": {**config, "token": token.get_secret_value() if isinstance(token, SecretStr) else None},
            "definitions": [base64.b64encode(each.SerializeToString()).decode() for each in self.definitions],
            "alone": sorted(self.alone),
            "together": sorted(self.together),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        definitions = [
            workflow_pb2.WorkflowDefinition.FromString(base64.b64decode(each)) for each in told["definitions"]
        ]
        return cls(
            ClientConfig(**told["config"]),
            definitions,
            frozenset(map(tuple, told["alone"])),
            frozenset(map(tuple, told["together"])),
        )


def write(told: dict[str, Any]) -> bytes:
    """Write an answer; paths become text."""
    return json.dumps(told, default=str).encode()
