"""The migration guide from Celery, step 7, typed in: delayed, scheduled and periodic tasks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from windlass import Context, Cron, EmptyModel, RunCancelled, RunStatus, Windlass

if TYPE_CHECKING:
    from tests.fundamentals.conftest import Serving


class ImageInput(BaseModel):
    """A picture, and what is to be done to it."""

    image_url: str
    filters: list[str]


PHOTO = ImageInput(image_url="https://example.com/photo.png", filters=["blur"])


async def test_countdown_becomes_delay(app: Windlass, serving: Serving) -> None:
    """The engine holds it, and no worker."""

    @app.task
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return input.filters[0]

    ref = await process_image.aio_run(PHOTO, wait_for_result=False, delay=timedelta(milliseconds=200))
    run = await app.runs.aio_get(ref.workflow_run_id)
    assert (run.status, run.phase) == (RunStatus.QUEUED, "scheduled")
    async with serving(app):
        assert await ref.aio_result(timeout=30) == "blur"


async def test_eta_becomes_a_scheduled_run(app: Windlass, serving: Serving) -> None:
    """At a time in any zone; until then it can be listed, and deleted."""

    @app.task
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return input.filters[0]

    soon = datetime.now(tz=ZoneInfo("Asia/Tokyo")) + timedelta(milliseconds=200)
    later = datetime.now(tz=UTC) + timedelta(hours=1)
    due = await process_image.aio_schedule(soon, PHOTO)
    waiting = await process_image.aio_schedule(later, PHOTO)
    assert waiting.id in [run.id for run in await app.scheduled.aio_list("process_image")]
    async with serving(app):
        assert await due.aio_result(timeout=30) == "blur"
    assert await app.scheduled.aio_delete(waiting.id)
    with pytest.raises(RunCancelled):
        await waiting.aio_result(timeout=30)


async def test_beat_becomes_on_crons(app: Windlass, serving: Serving) -> None:
    """`crontab(hour=9, minute=0)` is "0 9 * * *"; the schedule stands at the task, and nothing else runs."""

    @app.task(name="DailyReport", on_crons=["0 9 * * *", Cron("30 8 * * 1", timezone="Europe/Berlin")])
    async def generate_report(input: EmptyModel, ctx: Context) -> dict[str, str]:
        return {"status": "sent"}

    async with serving(app):
        assert await generate_report.aio_run() == {"status": "sent"}
        crons = {cron.expression: cron for cron in await app.cron.aio_list("DailyReport")}
    daily, monday = crons["0 9 * * *"], crons["30 8 * * 1"]
    assert daily.next_at is not None
    assert monday.next_at is not None
    assert (daily.next_at.hour, daily.next_at.minute) == (9, 0)
    in_berlin = monday.next_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert (in_berlin.isoweekday(), in_berlin.hour, in_berlin.minute) == (1, 8, 30)


async def test_a_cron_runs_its_task(app: Windlass, serving: Serving) -> None:
    """Six fields begin with the second: this one is due in each."""
    ran = asyncio.Event()

    @app.task(on_crons=["* * * * * *"])
    async def tick(input: EmptyModel, ctx: Context) -> None:
        ran.set()

    async with serving(app), asyncio.timeout(30):
        await ran.wait()


async def test_schedules_are_managed_while_all_runs(app: Windlass, serving: Serving) -> None:
    """What django-celery-beat keeps in a database: made, paused and deleted by the application."""
    ran = asyncio.Event()

    @app.task
    async def remind(user: str) -> str:
        ran.set()
        return user

    async with serving(app), asyncio.timeout(30):
        made = await app.cron.aio_create("remind", "every second", "* * * * * *", {"user": "u1"})
        await ran.wait()
        assert await app.cron.aio_pause(made.id)
        assert (await app.cron.aio_get(made.id)).paused
        await app.cron.aio_delete(made.id)
        assert await app.cron.aio_list("remind") == []
