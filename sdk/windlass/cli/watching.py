"""Owns `windlass runs watch`: runs are chosen, followed to their ends, and counted.

How that looks is the board's business: a live one on a terminal, lines elsewhere, JSON for programs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from windlass import RunStatus, Windlass
from windlass.cli.exit_code import ExitCode
from windlass.cli.output import is_live
from windlass.cli.run_filter import duration
from windlass.cli.watch_boards import JsonBoard, LineBoard, LiveBoard
from windlass.exceptions import ResultTimeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.cli.run_filter import FilterOptions
    from windlass.cli.watch_boards import Board

_GOING_ON: Final = (RunStatus.QUEUED, RunStatus.RUNNING)


def watch(run_ids: Sequence[str], wanted: FilterOptions, timeout: str | None, *, as_json: bool) -> int:
    """Watch these runs or, where there are none, those that are `wanted`. Gives the exit code."""
    seconds = duration(timeout, "--timeout") / 1000 if timeout else None
    board = JsonBoard() if as_json else LiveBoard() if is_live() else LineBoard()
    watching = _Watching(board)
    try:
        asyncio.run(watching.run(run_ids, wanted, seconds))
    except KeyboardInterrupt:
        print(f"stopped watching: {watching.going_on} runs go on", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return watching.exit_code


class _Watching:
    """The runs' statuses, as they were told last."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._statuses: dict[str, RunStatus] = {}

    @property
    def going_on(self) -> int:
        """How many have not ended."""
        return sum(not status.ended for status in self._statuses.values())

    @property
    def exit_code(self) -> ExitCode:
        """How it all ended: the worst counts."""
        ends = set(self._statuses.values())
        if RunStatus.FAILED in ends:
            return ExitCode.RUN_FAILED
        return ExitCode.RUN_CANCELLED if RunStatus.CANCELLED in ends else ExitCode.DONE

    async def run(self, run_ids: Sequence[str], wanted: FilterOptions, seconds: float | None) -> None:
        """Choose and follow. Raises ResultTimeout, UnknownRun, ApiUnreachable."""
        async with Windlass() as app:
            chosen = run_ids or [run.id for run in await app.runs.aio_list(**wanted.arguments(_GOING_ON))]
            self._statuses = dict.fromkeys(chosen, RunStatus.QUEUED)
            began = time.monotonic()
            with self._board.open(len(chosen)):
                in_time = await self._follow(app, chosen, seconds)
                self._board.sum_up(Counter(self._statuses.values()), time.monotonic() - began)
        if not in_time:
            raise ResultTimeout(
                f"{self.going_on} of {len(chosen)} runs have not ended within {seconds:g} s; they go on"
            )

    async def _follow(self, app: Windlass, run_ids: Sequence[str], seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                async for state in app.runs.aio_watch(run_ids):
                    self._statuses[state.id] = state.status
                    self._board.show(state, Counter(self._statuses.values()))
        except TimeoutError:
            return False
        return True
