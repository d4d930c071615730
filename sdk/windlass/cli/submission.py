"""Owns `windlass run`: reading what is to be submitted, and waiting for its end."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass import Priority, RetryPolicy, Windlass
from windlass.cli.output import print_json
from windlass.cli.run_filter import duration
from windlass.exceptions import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What `windlass run` was asked for; `options` are those that are passed on as they are."""

    task: str
    input_json: str
    metadata: str
    priority: str
    retries: int | None
    wait: bool
    options: dict[str, str | None]

    def run(self, *, as_json: bool) -> None:
        """Submit, and print the output, or the run's id where nobody waits."""
        if self.input_json == self.metadata == "-":
            raise InvalidInput("--input and --metadata cannot both be read from stdin")
        value = json_value("--input", self.input_json)
        options: dict[str, Any] = {name: given for name, given in self.options.items() if given is not None}
        timeout = duration(options.pop("timeout"), "--timeout") / 1000 if "timeout" in options else None
        for name in ("delay", "expires"):
            if name in options:
                options[name] = duration(options[name], f"--{name}") / 1000
        if self.metadata:
            options["additional_metadata"] = json_object("--metadata", self.metadata)
        if self.priority:
            options["priority"] = priority_of(self.priority)
        if self.retries is not None:
            options["retry"] = RetryPolicy(max_attempts=self.retries + 1)
        with Windlass() as app:
            ref = app.enqueue(self.task, value, **options)
            if not self.wait:
                print_json({"id": ref.id}) if as_json else print(ref.id)
                return
            output = ref.result(timeout=timeout)
        print_json({"id": ref.id, "output": output} if as_json else output)


def _text(option: str, given: str) -> str:
    try:
        if given == "-":
            return sys.stdin.read()
        return Path(given[1:]).read_text("utf-8") if given.startswith("@") else given
    except OSError as error:
        raise InvalidInput(f"{option} {given}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{option} {given}: is no UTF-8 text") from None


def json_value(option: str, given: str) -> Any:
    """Read JSON; `@file` and `-` are where it is. Raises InvalidInput, naming the option."""
    try:
        return json.loads(_text(option, given))
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{option} is no JSON: {error}") from None


def json_object(option: str, given: str) -> dict[str, Any]:
    """Do as `json_value`, for an object."""
    value = json_value(option, given)
    if not isinstance(value, dict):
        raise InvalidInput(f'{option}: a JSON object was expected, as in {{"key": "value"}}')
    return value


def priority_of(text: str) -> Priority:
    """Read a priority by its name. Raises InvalidInput."""
    try:
        return Priority[text.upper()]
    except KeyError:
        raise InvalidInput(f"--priority {text}: expected low, medium, high or critical") from None
