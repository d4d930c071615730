"""Owns what a batch function is told about the runs that it executes together."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, overload

from typing_extensions import override

if TYPE_CHECKING:
    from contextvars import Context as ContextVars

    from windlass.context import Context

#: The batch that executes here, so that what it logs is known to be its.
current_batch: Final[ContextVar[BatchContext | None]] = ContextVar("windlass_batch", default=None)


class BatchContext(Sequence["Context"]):
    """The Contexts of the runs in a batch, in the order of their inputs. Safe in any thread."""

    __slots__ = ("_contexts", "_variables")

    def __init__(self, contexts: Sequence[Context], variables: Sequence[ContextVars]) -> None:
        """Take the Contexts, and for each the variables among which its lines are written. Never made by users."""
        self._contexts = tuple(contexts)
        self._variables = variables

    @overload
    def __getitem__(self, index: int) -> Context: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Context]: ...
    @override
    def __getitem__(self, index: int | slice) -> Context | Sequence[Context]:
        return self._contexts[index]

    @override
    def __len__(self) -> int:
        return len(self._contexts)

    @property
    def worker_id(self) -> str:
        """Id of the worker that executes it."""
        return self._contexts[0].worker_id

    @property
    def lifespan(self) -> Any:
        """What the worker's lifespan yielded; None where there is none."""
        return self._contexts[0].lifespan

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked to cancel all of its runs: stop soon."""
        return all(ctx.is_cancelled for ctx in self._contexts)

    def log(self, message: object, level: str = "INFO") -> None:
        """Keep a line with each of its runs; `ctx[n].log` keeps one with one of them. See `Context.log`."""
        for ctx, variables in zip(self._contexts, self._variables, strict=True):
            variables.copy().run(ctx.log, message, level)
