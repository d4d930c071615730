"""What a worker opens once, and every task may use."""

from collections.abc import AsyncGenerator

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_lifespan_is_opened_once_per_worker_and_closed_after_its_last_task(
    app: Windlass, serving: Serving
) -> None:
    """What it yields is `ctx.lifespan`; a pool of connections, mostly."""
    said: list[str] = []

    async def lifespan() -> AsyncGenerator[dict[str, int], None]:
        said.append("opened")
        yield {"one": 1, "two": 2}
        said.append("closed")

    @app.task
    async def look_up(ctx: Context, word: str) -> int:
        said.append(word)
        return int(ctx.lifespan[word])

    async with serving(app, lifespan=lifespan):
        assert await look_up.aio_run("one") + await look_up.aio_run("two") == 3
    assert said == ["opened", "one", "two", "closed"]
