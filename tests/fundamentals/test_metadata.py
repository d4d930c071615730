"""Key-value pairs that travel with a run."""

from tests.fundamentals.conftest import Serving
from windlass import Context, Windlass


async def test_metadata_reaches_the_task_and_finds_the_run(app: Windlass, serving: Serving) -> None:
    """The task's own lie under the caller's; runs are listed by them."""

    @app.task(default_additional_metadata={"team": "billing", "env": "dev"})
    async def tell(ctx: Context) -> dict[str, str]:
        return ctx.additional_metadata

    async with serving(app):
        ref = await tell.options(additional_metadata={"env": "prod"}).aio_delay()
        assert await ref.aio_result(timeout=30) == {"team": "billing", "env": "prod"}
    found = await app.runs.aio_list(additional_metadata={"team": "billing", "env": "prod"})
    assert [run.id for run in found] == [ref.id]
    assert await app.runs.aio_list(additional_metadata={"team": "billing", "env": "dev"}) == []
