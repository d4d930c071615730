"""A workflow, or a queue, can be paused: what is submitted waits, what runs goes on."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import RunStatus, Windlass


async def test_a_paused_workflow_waits(app: Windlass, serving: Serving) -> None:
    """Nothing is lost, and nothing polls meanwhile."""

    @app.task
    async def send(to: str) -> str:
        return to

    async with serving(app):
        await app.workflows.aio_pause("send")
        ref = await send.aio_delay("a")
        assert (await app.workflows.aio_get("send")).paused
        assert await ref.aio_status() is RunStatus.QUEUED
        await app.workflows.aio_unpause("send")
        assert await ref.aio_result(timeout=30) == "a"


async def test_a_paused_queue_waits(app: Windlass, serving: Serving) -> None:
    """Runs of the same task in other queues go on."""

    @app.task
    async def print_page(name: str) -> str:
        return name

    async with serving(app):
        await app.queues.aio_pause("bulk")
        bulk = await print_page.options(queue="bulk").aio_delay("long")
        assert await print_page.aio_run("short") == "short"
        queued = {queue.name: queue for queue in await app.queues.aio_list()}
        assert (queued["bulk"].queued_runs, queued["bulk"].paused) == (1, True)
        await app.queues.aio_unpause("bulk")
        async with asyncio.timeout(30):
            assert await bulk.aio_result() == "long"
