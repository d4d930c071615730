"""Owns how what attempts add to a run is read: a page of it, or all as it comes. What it is, is its caller's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from windlass.v1 import run_pb2
from windlass_api.following import Follower
from windlass_api.presentation import STATUSES
from windlass_core.domain.errors import UnknownRun
from windlass_core.rpc.portion import portion
from windlass_core.store.runs import Entries, Runs

E = TypeVar("E", run_pb2.LogLine, run_pb2.StreamChunk)


@dataclass(frozen=True, slots=True)
class Page(Generic[E]):
    """Entries, and the offsets of the first one and after the last one. `ended`: how the run did, behind its last."""

    entries: list[E]
    first_offset: int
    ended: "run_pb2.RunStatus.ValueType" = run_pb2.RUN_STATUS_UNSPECIFIED

    @property
    def next_offset(self) -> int:
        """Where the next page begins."""
        return self.first_offset + len(self.entries)


@dataclass(frozen=True, slots=True)
class Kind(Generic[E]):
    """One kind of entries.

    `read` takes namespace, run, offset and how many at the most; None: there is no such run.
    """

    read: Callable[[str, str, int, int], Awaitable[Entries | None]]
    to_message: Callable[[list[Any]], E]
    most: int

    async def page(self, namespace: str, run_id: str, offset: int, most: int = 0) -> Page[E]:
        """The entries from an offset on, as many as fit into a message. Raises UnknownRun."""
        found = await self.read(namespace, run_id, offset, min(most or self.most, self.most))
        if found is None:
            raise UnknownRun(f"no run {run_id}")
        first, kept = found
        return Page(portion(map(self.to_message, kept)), first)

    async def tail(self, runs: Runs, follower: Follower, run_id: str, offset: int) -> AsyncIterator[Page[E]]:
        """The pages from an offset on until the run has ended. Raises UnknownRun: it has been deleted."""
        while True:
            await follower.moved()
            # Looked at before its entries are: those of the last attempt are stored before its end is.
            (run,) = await runs.standing(follower.namespace, [run_id])
            while True:
                page = await self.page(follower.namespace, run_id, offset)
                if not page.entries:
                    break
                yield page
                offset = page.next_offset
            if run is not None and run.phase.terminal:
                yield Page([], page.first_offset, STATUSES[run.phase])
                return
