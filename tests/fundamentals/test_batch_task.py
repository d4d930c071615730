"""Many runs, one call: a batch task takes a list of inputs, and each caller gets an output of its own."""

from tests.fundamentals.conftest import Serving
from windlass import Windlass


async def test_runs_are_executed_together(app: Windlass, serving: Serving) -> None:
    """As many as come within the interval, and at most the size."""
    calls: list[list[str]] = []

    @app.batch_task(batch_max_size=4, batch_max_interval="1m")
    async def translate(words: list[str]) -> list[str | ValueError]:
        calls.append(words)
        return [ValueError("no word") if word == "" else word.upper() for word in words]

    async with serving(app):
        items = [translate.create_bulk_run_item(word) for word in ("one", "two", "", "four")]
        outputs = await translate.aio_run_many(items, return_exceptions=True, timeout=30)
    assert sorted(map(len, calls)) == [4]
    assert [str(output) for output in outputs if not isinstance(output, Exception)] == ["ONE", "TWO", "FOUR"]
    assert "no word" in str(outputs[2])
