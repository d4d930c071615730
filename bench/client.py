"""Owns what a system's client process does: answers one question per line, timed where it happens.

Imported in the peers' venvs too: standard library only.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import IO, Any, Protocol, cast

from bench.payload import check_outputs, make_input


class Client(Protocol):
    """A system's client in the form that its documentation recommends for each kind of load."""

    def bulk(self, inputs: list[dict[str, Any]]) -> list[Any]:
        """Submit all in the system's form for many, and return the outputs in that order."""

    def singles(self, inputs: list[dict[str, Any]]) -> list[Any]:
        """Submit each with a call of its own, many open at once where the client can."""

    def submit(self, inputs: list[dict[str, Any]]) -> None:
        """Submit one after another, each acknowledged before the next, and keep the handles."""

    def settle(self) -> list[Any]:
        """Outputs of what `submit` or `submit_batch` submitted, in that order."""

    def roundtrip(self, task_input: dict[str, Any]) -> Any:
        """Submit one and return its output."""


class QueueingClient(Client, Protocol):
    """A client that can also gather, submit without waiting, and look at workers."""

    def submit_batch(self, inputs: list[dict[str, Any]]) -> None:
        """Submit in a loop of ordinary calls that the client gathers; acknowledged at the end."""

    def park(self, count: int, task: str, keep: int) -> None:
        """Submit runs of that task, many at a time, and keep handles of the first `keep`."""

    def drain(self, skipped: int) -> float:
        """Wait for the runs kept; results per second after the first `skipped`."""

    def count_workers(self) -> int:
        """Workers connected."""


class Interview:
    """Answers questions about one client until there are no more: each public method is one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._next = 0

    def _inputs(self, count: int) -> tuple[int, list[dict[str, Any]]]:
        first = self._next
        self._next += count
        return first, [make_input(index) for index in range(first, first + count)]

    def bulk(self, count: int) -> dict[str, Any]:
        """Time submits in bulk, to the last result."""
        first, inputs = self._inputs(count)
        began = time.perf_counter()
        outputs = self._client.bulk(inputs)
        seconds = time.perf_counter() - began
        self._check(outputs, first, count)
        return {"seconds": seconds}

    def singles(self, count: int) -> dict[str, Any]:
        """Time one call per task, to the last result."""
        first, inputs = self._inputs(count)
        began = time.perf_counter()
        outputs = self._client.singles(inputs)
        seconds = time.perf_counter() - began
        self._check(outputs, first, count)
        return {"seconds": seconds}

    def submit(self, count: int) -> dict[str, Any]:
        """Time acknowledged submits, one after another."""
        first, inputs = self._inputs(count)
        began = time.perf_counter()
        self._client.submit(inputs)
        seconds = time.perf_counter() - began
        self._check(self._client.settle(), first, count)
        return {"seconds": seconds}

    def submit_batch(self, count: int) -> dict[str, Any]:
        """Time submits that the client gathers."""
        first, inputs = self._inputs(count)
        began = time.perf_counter()
        self._queueing().submit_batch(inputs)
        seconds = time.perf_counter() - began
        self._check(self._client.settle(), first, count)
        return {"seconds": seconds}

    def latency(self, count: int) -> dict[str, Any]:
        """Time one task after another, submit to result."""
        first, inputs = self._inputs(count)
        outputs, samples = [], []
        for task_input in inputs:
            began = time.perf_counter()
            outputs.append(self._client.roundtrip(task_input))
            samples.append((time.perf_counter() - began) * 1_000)
        self._check(outputs, first, count)
        return {"samples_ms": samples}

    def park(self, count: int, task: str, keep: int) -> dict[str, Any]:
        """Time submits that nobody waits for."""
        began = time.perf_counter()
        self._queueing().park(count, task, keep)
        return {"seconds": time.perf_counter() - began}

    def drain(self, skipped: int) -> dict[str, Any]:
        """Time the results of parked runs."""
        return {"per_second": self._queueing().drain(skipped)}

    def workers(self) -> dict[str, Any]:
        """Count the workers connected."""
        return {"count": self._queueing().count_workers()}

    def _queueing(self) -> QueueingClient:
        return cast("QueueingClient", self._client)

    @staticmethod
    def _check(outputs: list[Any], first: int, count: int) -> None:
        check_outputs(outputs, first)
        if len(outputs) != count:
            raise RuntimeError(f"{len(outputs)} results of {count}")


def answer_questions(client: Client, questions: IO[str], answers: IO[str]) -> None:
    """Serve until the questions end; an error is an answer, and its traceback goes to stderr."""
    interview = Interview(client)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in questions:
        question = json.loads(line)
        try:
            answer = getattr(interview, question.pop("ask"))(**question)
        except Exception as error:  # noqa: BLE001 - the edge of the loop: all of it is an answer
            traceback.print_exc(file=sys.stderr)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
