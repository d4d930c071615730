"""Owns `windlass run`: reading what is to be submitted, and waiting for its end."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from windlass import Priority, Windlass
from windlass.cli.output import print_json
from windlass.exceptions import InvalidInput


@dataclass(frozen=True, slots=True)
class Submission:
    """What `windlass run` was asked for."""

    task: str
    input_json: str
    wait: bool
    timeout: float | None
    queue: str | None
    priority: str
    metadata: str

    def run(self, *, as_json: bool) -> None:
        """Submit, and print the output, or the run's id where nobody waits."""
        value = _json("--input", sys.stdin.read() if self.input_json == "-" else self.input_json)
        priority = _priority(self.priority) if self.priority else None
        metadata = _object("--metadata", self.metadata) if self.metadata else None
        with Windlass() as app:
            ref = app.enqueue(self.task, value, queue=self.queue, priority=priority, additional_metadata=metadata)
            if not self.wait:
                print_json({"id": ref.id}) if as_json else print(ref.id)
                return
            output = ref.result(timeout=self.timeout)
        print_json({"id": ref.id, "output": output} if as_json else output)


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{option} is no JSON: {error}") from None


def _object(option: str, text: str) -> dict[str, Any]:
    value = _json(option, text)
    if not isinstance(value, dict):
        raise InvalidInput(f'{option}: a JSON object was expected, as in {{"key": "value"}}')
    return value


def _priority(text: str) -> Priority:
    try:
        return Priority[text.upper()]
    except KeyError:
        raise InvalidInput(f"--priority {text}: expected low, medium, high or critical") from None
