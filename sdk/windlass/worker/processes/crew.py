"""Owns what every child of a worker knows from its birth, because it was forked from who knew it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from windlass.client import Windlass
    from windlass.runnable import Runnable
    from windlass.task import Task
    from windlass.worker.route import Route


@dataclass(frozen=True, slots=True)
class Crew:
    """Whose tasks are executed.

    Attributes:
        app: theirs, with its middleware.
        runnables: the tasks and workflows that the worker serves, by name.
        lifespan: opened once in each child.
        capture_logs: see Surroundings.

    """

    app: Windlass
    runnables: Mapping[str, Runnable[Any]]
    lifespan: Callable[[], AsyncIterator[Any]] | None
    capture_logs: bool

    @property
    def tasks(self) -> dict[Route, Task]:
        """All that is executed, hooks too."""
        return {(name, task.name): task for name, each in self.runnables.items() for task in each.tasks}

    @property
    def alone(self) -> frozenset[Route]:
        """The tasks that are executed in a child of their own."""
        return frozenset(route for route, task in self.tasks.items() if task.executor == "process")

    @property
    def together(self) -> frozenset[Route]:
        """The tasks whose attempts are executed in one child, where they gather."""
        return frozenset(route for route, task in self.tasks.items() if task.gathers)
