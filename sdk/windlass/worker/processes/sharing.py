"""Owns which child gets which attempt. Gives nothing to anybody itself."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from windlass.worker.processes.child_process import State
from windlass.worker.route import route_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from windlass.v1 import dispatch_pb2
    from windlass.worker.processes.child_process import ChildProcess
    from windlass.worker.route import Route


class Sharing:
    """Attempts that wait for a child, and how they are shared out."""

    def __init__(self, most: int) -> None:
        """Give a child `most` attempts in its life; 0: any number."""
        self._most = most
        self._waiting: deque[dispatch_pb2.Assignment] = deque()
        # Where attempts of a task gather.
        self._together: dict[Route, ChildProcess] = {}

    def add(self, assignments: Iterable[dispatch_pb2.Assignment]) -> None:
        """Have these wait, in order."""
        self._waiting.extend(assignments)

    def take(self, lease_ids: Iterable[str]) -> list[dispatch_pb2.Assignment]:
        """Have these wait no more; gives those that did."""
        wanted = set(lease_ids)
        taken = [each for each in self._waiting if each.lease_id in wanted]
        for each in taken:
            self._waiting.remove(each)
        return taken

    def clear(self) -> None:
        """Have none wait."""
        self._waiting.clear()

    def share_out(
        self, children: Iterable[ChildProcess], together: Collection[Route]
    ) -> dict[ChildProcess, list[dispatch_pb2.Assignment]]:
        """Give what waits to whoever has least to do, and of the tasks `together` all to one.

        What has given up its slot counts only between those who have the same to do besides.
        """
        loads = {
            child: (len(child.holds) - len(child.slotless), len(child.holds))
            for child in children
            if child.state is State.READY
        }
        shares: dict[ChildProcess, list[dispatch_pb2.Assignment]] = {}
        while self._waiting and loads:
            child = min(loads, key=loads.__getitem__)
            assignment = self._waiting.popleft()
            if together and (route := route_of(assignment)) in together:
                gathering = self._together.get(route)
                if gathering is None or gathering not in loads:
                    gathering = self._together[route] = child
                child = gathering
            share = shares.setdefault(child, [])
            share.append(assignment)
            taken, held = loads[child]
            loads[child] = taken + 1, held + 1
            if self._most and child.given + len(share) >= self._most:
                del loads[child]
        return shares
