"""A run that has ended can be run once more, under its own id."""

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_a_run_is_replayed(app: Windlass, serving: Serving) -> None:
    """As it was submitted; who asks for its result from then on waits for the new end."""
    executions: list[int] = []

    @app.task
    async def count(step: int, ctx: Context) -> int:
        executions.append(ctx.attempt_number)
        return len(executions) * step

    async with serving(app):
        ref = await count.aio_delay(10)
        assert await ref.aio_result(timeout=30) == 10
        assert await app.runs.aio_replay(ref.id)
        assert await app.runs.aio_get_result(ref.id, timeout=30) == 20
    assert executions == [1, 1]
    assert (await app.runs.aio_get(ref.id)).replays == 1
