"""Testing a task without an engine."""

from windlass import Context, Windlass


def test_mock_run_executes_the_function_with_a_mock_context() -> None:
    """In this process; the context says what it is told to say."""
    app = Windlass()

    @app.task
    async def count(input: int, ctx: Context) -> int:
        return input + ctx.retry_count

    assert count.mock_run(40, retry_count=2) == 42
