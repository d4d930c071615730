"""Labels: what a task needs of its worker, and what it would rather have."""

from tests.fundamentals.conftest import Serving
from windlass import Context, DesiredWorkerLabel, Windlass, WorkerLabelComparator


async def test_a_run_goes_to_a_worker_with_the_labels_it_needs(app: Windlass, serving: Serving) -> None:
    """Required ones decide, weights choose among the rest; numbers are compared as numbers."""
    memory = DesiredWorkerLabel(value=64, required=True, comparator=WorkerLabelComparator.GREATER_THAN_OR_EQUAL)
    near = DesiredWorkerLabel(value="eu", weight=10)

    @app.task(desired_worker_labels={"memory": memory, "region": near})
    async def train(ctx: Context) -> str:
        return f"{ctx.worker_labels['memory']} in {ctx.worker_labels['region']}"

    async with (
        serving(app, labels={"memory": 8, "region": "eu"}),
        serving(app, labels={"memory": 256, "region": "us"}),
        serving(app, labels={"memory": 128, "region": "eu"}),
    ):
        assert await train.aio_run() == "128 in eu"
        huge = DesiredWorkerLabel(value=200, required=True, comparator=WorkerLabelComparator.GREATER_THAN)
        assert await train.options(desired_worker_labels={"memory": huge}).aio_run() == "256 in us"
