"""What is urgent goes first."""

from tests.fundamentals.conftest import Serving
from windlass import Context, Priority, Windlass


async def test_higher_priority_is_executed_first(app: Windlass, serving: Serving) -> None:
    """All are queued before the one slot is there."""
    order: list[str] = []

    @app.task
    async def note(name: str) -> None:
        order.append(name)

    refs = [
        await note.options(priority=priority).aio_delay(priority.name)
        for priority in (Priority.LOW, Priority.MEDIUM, Priority.CRITICAL, Priority.HIGH)
    ]
    async with serving(app, slots=1):
        for ref in refs:
            await ref.aio_result(timeout=30)
    assert order == ["CRITICAL", "HIGH", "MEDIUM", "LOW"]


async def test_a_task_has_a_priority_that_a_call_may_change(app: Windlass, serving: Serving) -> None:
    """It counts across tasks: what is urgent passes the others' queues too."""
    order: list[str] = []

    @app.task(default_priority=Priority.LOW)
    async def tidy(name: str) -> None:
        order.append(name)

    @app.task
    async def serve(ctx: Context) -> None:
        order.append(ctx.priority.name)

    refs = [
        await tidy.aio_delay("later"),
        await serve.aio_delay(),
        await tidy.options(priority=Priority.HIGH).aio_delay("now"),
    ]
    assert [(await app.runs.aio_get(ref.id)).priority.name for ref in refs] == ["LOW", "MEDIUM", "HIGH"]
    async with serving(app, slots=1):
        for ref in refs:
            await ref.aio_result(timeout=30)
    assert order == ["now", "MEDIUM", "later"]
