"""Owns how children come into the world, and passes on how they end. On the I/O thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.worker.processes.child_process import ChildProcess, ChildUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.worker.attempt import Reports
    from windlass.worker.processes.nursery_process import NurseryProcess
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
        self._from: dict[int, NurseryProcess] = {}
        self._former: list[NurseryProcess] = []
        # Of those whose end was heard of before whoever waits for their birth got round to it.
        self._ended_early: dict[int, int] = {}

    async def open(self) -> None:
        """Begin. Raises NurseryLost."""
        await self._open(self._nursery)

    async def renew(self, nursery: NurseryProcess) -> None:
        """Have children forked from another one from now on; the former goes with its last child."""
        await self._open(nursery)
        self._former.append(self._nursery)
        self._nursery = nursery
        self._close_former()

    def is_former(self, child: ChildProcess) -> bool:
        """Whether it has the former code."""
        return self._from.get(child.pid) is not self._nursery

    async def child(self, user: ChildUser, *, solo: bool) -> ChildProcess:
        """Have one born. Raises NurseryLost."""
        nursery = self._nursery
        pid, end = await nursery.child()
        self._from[pid] = nursery
        child = self._children[pid] = ChildProcess(pid, user, self._reports, solo=solo)
        await child.open(end, self._setup)
        if (status := self._ended_early.pop(pid, None)) is not None:
            self._on_ended(pid, status)
        return child

    def close(self) -> None:
        """End what is left of them."""
        for nursery in (*self._former, self._nursery):
            nursery.close()

    async def _open(self, nursery: NurseryProcess) -> None:
        def on_lost() -> None:
            if nursery is self._nursery:
                self._on_lost()

        await nursery.open(self._on_ended, on_lost)

    def _close_former(self) -> None:
        busy = set(self._from.values())
        for nursery in [each for each in self._former if each not in busy]:
            self._former.remove(nursery)
            nursery.close()

    def _on_ended(self, pid: int, status: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            self._ended_early[pid] = status
        else:
            self._from.pop(pid, None)
            child.on_ended(status)
            self._close_former()
