"""Owns playing cases against a worker: several at once, each with a verdict of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.conformance.rig import rig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conformance.case import Case

#: Seconds that a case may take in all; what it waits for has bounds of its own.
CASE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case."""

    case: Case
    #: Why it failed; empty where it passed.
    why: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the worker kept the rule."""
        return not self.why


async def play_all(
    cases: Sequence[Case],
    command: Sequence[str],
    *,
    at_once: int,
    patience: float,
    on_verdict: Callable[[Verdict], None],
) -> list[Verdict]:
    """Play these, `at_once` at a time; returns the verdicts in the same order.

    What is waited for has to come within `patience` seconds.
    """
    turn = asyncio.Semaphore(at_once)

    async def in_turn(case: Case) -> Verdict:
        async with turn:
            verdict = await _play(case, command, patience)
            on_verdict(verdict)
            return verdict

    return list(await asyncio.gather(*(in_turn(case) for case in cases)))


async def _play(case: Case, command: Sequence[str], patience: float) -> Verdict:
    began = time.monotonic()
    why = ""
    async with rig(command, patience) as each:
        try:
            async with asyncio.timeout(CASE_SECONDS):
                await case.play(each)
        except AssertionError as error:
            why = str(error)
        except TimeoutError:
            why = f"the case took longer than {CASE_SECONDS:g} s"
        if why:
            words = [worker.last_words for worker in each.workers]
            why += "".join(f"\nthe worker's last words:\n{said}" for said in words if said)
    return Verdict(case, why, time.monotonic() - began)
