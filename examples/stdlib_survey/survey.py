"""Owns the survey's course: submit, watch, cancel one, look at what was retried, time round trips.

Leaves what the tasks do to `tasks`, and how it is shown to `report`.
"""

from __future__ import annotations

import asyncio
import sysconfig
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from examples.stdlib_survey.tasks import SourceFile, app, count_for_ever, echo, survey_file
from windlass import RunCancelled, RunStatus, WindlassError

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.stdlib_survey.source_facts import SourceFacts
    from windlass import TaskRunRef

#: How many files stumble, and how often each does before it succeeds.
_STUMBLES: Final = (1, 1, 2, 2, 3)
_ROUND_TRIPS: Final = 200
#: Nothing takes so long unless something is broken.
_PATIENCE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RetriedRun:
    """A run that did not succeed at once."""

    path: str
    run_id: str
    attempts: int
    errors: list[str]


@dataclass(slots=True)
class Survey:
    """What came out, for the report."""

    files: int
    facts: list[SourceFacts] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    retried: list[RetriedRun] = field(default_factory=list)
    cancelled_run_ids: list[str] = field(default_factory=list)
    cancel_seconds: float = 0.0
    submit_seconds: float = 0.0
    seconds: float = 0.0
    round_trips: list[float] = field(default_factory=list)

    def unmet(self) -> list[str]:
        """Name each expectation that did not hold; none: the demo has succeeded."""
        expected = {
            f"every one of {self.files} files surveyed, got {len(self.facts)}": len(self.facts) == self.files,
            f"no run failed for good, got {self.failures[:3]}": not self.failures,
            f"exactly one run cancelled, got {len(self.cancelled_run_ids)}": len(self.cancelled_run_ids) == 1,
            f"{len(_STUMBLES)} runs retried, got {len(self.retried)}": len(self.retried) == len(_STUMBLES),
            "each retried run took one attempt more than it stumbled": (
                sorted(run.attempts for run in self.retried) == sorted(n + 1 for n in _STUMBLES)
            ),
        }
        return [what for what, holds in expected.items() if not holds]


def standard_library() -> list[SourceFile]:
    """List this machine's standard library, the first few of its files made to stumble."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*.py")
        if not {"site-packages", "dist-packages"}.intersection(path.parts)
    )
    step = max(1, len(paths) // len(_STUMBLES))
    stumbles = {index * step: times for index, times in enumerate(_STUMBLES)}
    return [
        SourceFile(folder=folder, path=str(path), stumbles=stumbles.get(index, 0)) for index, path in enumerate(paths)
    ]


async def conduct(files: list[SourceFile], tell: Callable[[int, str], None]) -> Survey:
    """Run the survey; `tell` hears how many runs have just ended, and what there is to say."""
    survey = Survey(files=len(files))
    async with app:
        endless = await count_for_ever.aio_delay()
        began = time.monotonic()
        refs = await survey_file.aio_run_many(
            [survey_file.create_bulk_run_item(file) for file in files], wait_for_result=False
        )
        survey.submit_seconds = time.monotonic() - began
        tell(0, f"{len(refs):,} runs submitted in {survey.submit_seconds:.2f} s")
        await asyncio.gather(_cancel(endless, survey, tell), _collect(refs, survey, tell))
        survey.seconds = time.monotonic() - began
        for file, ref in zip(files, refs, strict=True):
            if file.stumbles:
                survey.retried.append(await _look_at(file, ref))
        for number in range(_ROUND_TRIPS):
            sent = time.perf_counter()
            await echo.aio_run(number)
            survey.round_trips.append(time.perf_counter() - sent)
    return survey


async def _collect(refs: list[TaskRunRef[SourceFacts]], survey: Survey, tell: Callable[[int, str], None]) -> None:
    for next_result in asyncio.as_completed([ref.aio_result(timeout=_PATIENCE) for ref in refs]):
        try:
            survey.facts.append(await next_result)
        except WindlassError as error:
            survey.failures.append(str(error))
        tell(1, "")


async def _cancel(ref: TaskRunRef[int], survey: Survey, tell: Callable[[int, str], None]) -> None:
    """Cancel the run that never ends, once it runs."""
    while await ref.aio_status() is RunStatus.QUEUED:  # noqa: ASYNC110 - the change is in another process
        await asyncio.sleep(0.05)
    asked = time.monotonic()
    await ref.aio_cancel()
    try:
        await ref.aio_result(timeout=_PATIENCE)
    except RunCancelled as cancelled:
        survey.cancelled_run_ids.append(cancelled.run_id)
        survey.cancel_seconds = time.monotonic() - asked
        tell(0, f"the run that counts for ever was cancelled while it ran, in {survey.cancel_seconds:.2f} s")


async def _look_at(file: SourceFile, ref: TaskRunRef[SourceFacts]) -> RetriedRun:
    run = await app.runs.aio_get(ref.id)
    return RetriedRun(file.path, ref.id, run.attempt, [error.error for error in run.errors])
