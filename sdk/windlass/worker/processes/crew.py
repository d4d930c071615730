"""Owns what every child of a worker knows from its birth, because it was forked from who knew it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from windlass.client import Windlass
    from windlass.task import Task


@dataclass(frozen=True, slots=True)
class Crew:
    """Whose tasks are executed.

    Attributes:
        app: theirs, with its middleware.
        tasks: those that the worker serves, by name.
        lifespan: opened once in each child.
        capture_logs: see Surroundings.

    """

    app: Windlass
    tasks: Mapping[str, Task]
    lifespan: Callable[[], AsyncIterator[Any]] | None
    capture_logs: bool

    @property
    def alone(self) -> frozenset[str]:
        """Names of the tasks that are executed in a child of their own."""
        return frozenset(name for name, task in self.tasks.items() if task.executor == "process")

    @property
    def together(self) -> frozenset[str]:
        """Names of the tasks whose attempts are executed in one child, where they gather."""
        return frozenset(name for name, task in self.tasks.items() if task.gathers)
