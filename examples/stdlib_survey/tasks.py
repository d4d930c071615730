"""The survey's tasks: what an application's own tasks.py looks like.

A worker serves them with `windlass worker examples.stdlib_survey.tasks`.
"""

import asyncio
from pathlib import Path

from pydantic import BaseModel

from examples.stdlib_survey.source_facts import SourceFacts, examine
from windlass import Context, Windlass

app = Windlass()


class SourceFile(BaseModel):
    """A file to survey; `stumbles` is how many attempts are made to fail first, to show retries."""

    folder: Path
    path: str
    stumbles: int = 0


class FlakyDiskError(OSError):
    """Stands for whatever goes wrong out there and is right a moment later."""


@app.task(name="survey-file", retries=3, backoff_factor=1.5, backoff_max_seconds=1)
def survey_file(input: SourceFile, ctx: Context) -> SourceFacts:
    """Parse one file and count what is in it."""
    if ctx.attempt_number <= input.stumbles:
        raise FlakyDiskError(f"the disk hiccuped, attempt {ctx.attempt_number} (on purpose)")
    return examine(input.path, (input.folder / input.path).read_bytes())


@app.task(name="count-for-ever")
async def count_for_ever(ctx: Context) -> int:
    """Never end by itself: the survey cancels it while it runs."""
    counted = 0
    while not ctx.is_cancelled:
        counted += 1
        await asyncio.sleep(0.01)
    return counted


@app.task(name="echo")
async def echo(number: int) -> int:
    """Give back what came: what a round trip costs with no work in it."""
    return number
