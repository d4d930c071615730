"""Many runs in one call."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import TaskRunError, Windlass


async def test_results_come_in_the_order_of_the_submits(app: Windlass, serving: Serving) -> None:
    """Errors are raised, or stand in the place of their results."""

    @app.task
    def invert(number: int) -> float:
        return 1 / number

    items = [invert.create_bulk_run_item(number) for number in (1, 2, 0, 4)]
    async with serving(app):
        results = await invert.aio_run_many(items, return_exceptions=True)
        with pytest.raises(TaskRunError, match="ZeroDivisionError"):
            await invert.aio_run_many(items)
    assert results[:2] == [1.0, 0.5]
    assert isinstance(results[2], TaskRunError)
    assert results[3] == 0.25
