"""Owns what an app puts round the attempts of its workers. Does nothing with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from windlass.middleware import Middleware


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an attempt finds around it.

    Attributes:
        lifespan: what the worker's lifespan yielded.
        middleware: the first is outermost.
        overrides: dependencies, and what stands in for them; a live view.
        capture_logs: what it logs with the standard library goes into its run's log.

    """

    lifespan: Any = None
    middleware: tuple[Middleware, ...] = ()
    overrides: Mapping[Callable[..., Any], Callable[..., Any]] = field(default_factory=dict)
    capture_logs: bool = False
