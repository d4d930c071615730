"""A task can be run at a time, or again and again by a cron: said beside the function, or by a call."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.fundamentals.conftest import Serving
from windlass import Context, Cron, EmptyModel, InvalidInput, NotFound, RunStatus, Windlass


async def test_a_run_is_scheduled_for_a_time(app: Windlass, serving: Serving) -> None:
    """Of any time zone; it is held in the engine, and no worker is needed until then."""

    @app.task
    def resize(path: str, width: int = 3) -> str:
        return f"{path} {width}"

    tokyo = datetime.now(ZoneInfo("Asia/Tokyo"))
    soon = await resize.aio_schedule(tokyo + timedelta(milliseconds=250), "a.png", width=5)
    later = await resize.aio_schedule(tokyo + timedelta(days=3), "b.png")
    with pytest.raises(InvalidInput, match="has no time zone"):
        await resize.aio_schedule(datetime(2030, 1, 1), "c.png")  # noqa: DTZ001 - that is the point

    (listed,) = await app.scheduled.aio_list("resize", since=tokyo + timedelta(days=2))
    assert (listed.id, listed.input, listed.status) == (later.id, {"path": "b.png", "width": 3}, RunStatus.QUEUED)
    assert listed.run_at == (tokyo + timedelta(days=3)).replace(microsecond=listed.run_at.microsecond)

    async with serving(app):
        assert await soon.aio_result() == "a.png 5"
        changed = await app.scheduled.aio_update(later.id, run_at=datetime.now(UTC), input={"path": "d.png"})
        assert await later.aio_result() == "d.png 3"
    assert changed.id == later.id
    assert not await app.scheduled.aio_delete(later.id)  # too late


async def test_a_scheduled_run_is_deleted_before_its_time(app: Windlass) -> None:
    """By its name alone, for a task that this process need not have."""

    @app.task
    def remind() -> None: ...

    await app.runs.aio_cancel((await remind.aio_delay()).id)
    ref = await app.scheduled.aio_create("remind", datetime.now(UTC) + timedelta(hours=1))
    assert await app.scheduled.aio_delete(ref.id)
    assert await ref.aio_status() == RunStatus.CANCELLED
    assert await app.scheduled.aio_list("remind") == []


async def test_crons_stand_beside_the_function(app: Windlass, serving: Serving) -> None:
    """They are there from when a worker brings the task, once, however many workers there are."""
    ran: asyncio.Queue[str] = asyncio.Queue()

    @app.task(
        name="daily-report",
        on_crons=["0 9 * * *", Cron("* * * * * *", timezone="Europe/Berlin", overlap="skip", name="often")],
    )
    async def report(input: EmptyModel, ctx: Context) -> None:
        await ran.put(ctx.workflow_run_id)

    async with serving(app), serving(app):
        first, second = await ran.get(), await ran.get()
        daily, often = await app.cron.aio_list("daily-report")
        await app.cron.aio_pause(often.id)
    assert first != second
    assert (daily.name, daily.expression, daily.timezone, daily.declared) == ("0 9 * * *", "0 9 * * *", "UTC", True)
    assert daily.next_at is not None
    assert daily.next_at.hour == 9


async def test_a_cron_is_made_changed_and_deleted_by_call(app: Windlass, serving: Serving) -> None:
    """As many as there are customers, say; each tick's run has the cron's input."""
    ran: asyncio.Queue[str] = asyncio.Queue()

    @app.task
    async def bill(customer: str) -> None:
        await ran.put(customer)

    cron = await bill.aio_create_cron("acme", "* * * * * *", {"customer": "acme"}, "America/New_York")
    async with serving(app):
        assert await ran.get() == "acme"
        changed = await app.cron.aio_update(cron.id, expression="@monthly")
    assert changed.next_at is not None
    assert changed.next_at.astimezone(ZoneInfo("America/New_York")).day == 1
    assert await app.cron.aio_pause(cron.id)
    assert (await app.cron.aio_get(cron.id)).next_at is None
    assert await app.cron.aio_unpause(cron.id)
    await app.cron.aio_delete(cron.id)
    with pytest.raises(NotFound):
        await app.cron.aio_get(cron.id)
