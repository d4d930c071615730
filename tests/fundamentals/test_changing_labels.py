"""Changing labels: a worker takes other work once it says that it has something else."""

from tests.fundamentals.conftest import Serving
from windlass import Context, DesiredWorkerLabel, Windlass


async def test_a_run_waits_until_a_worker_has_the_label(app: Windlass, serving: Serving) -> None:
    """A task loads a model and says so; what needs the model comes to its worker."""

    @app.task
    async def load(model: str, ctx: Context) -> None:
        await ctx.aio_upsert_worker_labels({"model": model})

    @app.task(desired_worker_labels={"model": DesiredWorkerLabel(value="large", required=True)})
    async def answer(ctx: Context) -> str:
        return f"{ctx.worker_labels['model']} in {ctx.worker_labels['zone']}"

    async with serving(app, labels={"zone": "a", "model": "small"}) as worker:
        waits = await answer.aio_delay()
        await load.aio_run("large")
        assert await waits.aio_result(timeout=30) == "large in a"
        assert (await app.workers.aio_get(worker.id)).labels == {"zone": "a", "model": "large"}
