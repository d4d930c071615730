"""What a task needs besides its input, opened and closed around each attempt."""

from collections.abc import AsyncGenerator
from typing import Annotated

from tests.fundamentals.conftest import Serving
from windlass import Context, Depends, Windlass

said: list[str] = []


async def transaction(ctx: Context) -> AsyncGenerator[str, None]:
    """Open and end a transaction, as the attempt ends."""
    said.append("begin")
    try:
        yield f"tx of {ctx.task_name}"
    except Exception:
        said.append("rollback")
        raise
    said.append("commit")


def audit(tx: Annotated[str, Depends(transaction)]) -> str:
    """Take another dependency."""
    return f"audit in {tx}"


async def test_dependencies_are_opened_and_closed_around_each_attempt(app: Windlass, serving: Serving) -> None:
    """Annotated after the Context, a default in a plain function; the input has nothing of them."""
    said.clear()

    @app.task(retries=1)
    async def pay(
        input: int, ctx: Context, log: Annotated[str, Depends(audit)], tx: Annotated[str, Depends(transaction)]
    ) -> str:
        if ctx.attempt_number == 1:
            raise ConnectionError("not yet")
        return f"{input}: {log}, {tx}"

    @app.task
    def refund(amount: int, tx: str = Depends(transaction)) -> str:
        return f"{amount}: {tx}"

    async with serving(app):
        assert await pay.aio_run(5) == "5: audit in tx of pay, tx of pay"
        assert said == ["begin", "rollback", "begin", "commit"]
        assert await refund.aio_run(amount=3) == "3: tx of refund"


async def test_dependencies_are_overridden_in_tests(app: Windlass) -> None:
    """For every task of the app, or for one call."""

    @app.task
    async def pay(input: int, ctx: Context, log: Annotated[str, Depends(audit)]) -> str:
        return log

    app.dependency_overrides[transaction] = lambda: "a fake"
    assert await pay.aio_mock_run(5) == "audit in a fake"
    assert await pay.aio_mock_run(5, dependencies={"log": "silence"}) == "silence"
