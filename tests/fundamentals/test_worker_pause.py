"""Pausing a worker: it keeps what it has and gets nothing new."""

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_a_paused_worker_gets_nothing_until_it_is_unpaused(app: Windlass, serving: Serving) -> None:
    """The other one does all the work meanwhile."""

    @app.task
    async def where(ctx: Context) -> str:
        return ctx.worker_id

    async def workers_of_ten() -> set[str]:
        return set(await where.aio_run_many([where.create_bulk_run_item() for _ in range(10)]))

    async with serving(app) as first, serving(app) as second:
        await app.workers.aio_pause(first.id)
        assert (await app.workers.aio_get(first.id)).status == "PAUSED"
        assert await workers_of_ten() == {second.id}
        await app.workers.aio_unpause(first.id)
        await app.workers.aio_pause(second.id)
        assert await workers_of_ten() == {first.id}
