"""Owns how children come into the world, and passes on how they end. On the I/O thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.worker.child_process import ChildProcess, ChildUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.worker.attempt import Reports
    from windlass.worker.nursery_process import NurseryProcess
    from windlass.worker.setup import Setup


class Births:
    """The children of one worker, by process id."""

    def __init__(self, nursery: NurseryProcess, setup: Setup, reports: Reports, on_lost: Callable[[], None]) -> None:
        """Have them forked from `nursery`; `on_lost` is told when there will be no more."""
        self._nursery = nursery
        self._on_lost = on_lost
        self._setup = setup
        self._reports = reports
        self._children: dict[int, ChildProcess] = {}
        # Of those whose end was heard of before whoever waits for their birth got round to it.
        self._ended_early: dict[int, int] = {}

    async def open(self) -> None:
        """Begin. Raises NurseryLost."""
        await self._nursery.open(self._on_ended, self._on_lost)

    async def child(self, user: ChildUser, *, solo: bool) -> ChildProcess:
        """Have one born. Raises NurseryLost."""
        pid, end = await self._nursery.child()
        child = self._children[pid] = ChildProcess(pid, user, self._reports, solo=solo)
        await child.open(end, self._setup)
        if (status := self._ended_early.pop(pid, None)) is not None:
            self._on_ended(pid, status)
        return child

    def close(self) -> None:
        """End what is left of them."""
        self._nursery.close()

    def _on_ended(self, pid: int, status: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            self._ended_early[pid] = status
        else:
            child.on_ended(status)
