"""A bound on the retries of all runs of a task together."""

from tests.fundamentals.conftest import Serving
from windlass import RetryBudget, TaskRunError, Windlass


async def test_a_fault_that_hits_every_run_makes_no_storm(app: Windlass, serving: Serving) -> None:
    """Ten runs with five retries each: the first three retries go, then the budget is used up for now."""

    @app.task(retries=5, retry_budget=RetryBudget(ratio=0, min_per_minute=3))
    async def charge(order: int) -> None:
        raise ConnectionError("the bank is away")

    async with serving(app):
        items = [charge.create_bulk_run_item(order) for order in range(10)]
        ends = await charge.aio_run_many(items, return_exceptions=True)
    errors = [each for each in ends if isinstance(each, TaskRunError)]
    assert [error.type for error in errors] == ["ConnectionError"] * 10
    assert 3 <= sum(error.attempt - 1 for error in errors) < 10  # more than 3 only where seconds pass meanwhile
    assert "the retry budget of its workflow is used up" in str(errors[-1])
