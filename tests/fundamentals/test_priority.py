"""What is urgent goes first."""

from tests.fundamentals.conftest import Serving
from windlass import Priority, Windlass


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
