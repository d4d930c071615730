"""What failed can be tried again, or thrown away."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import RunFilter, RunStatus, TaskRunError, UnknownRun, Windlass


async def test_what_failed_is_tried_again(app: Windlass, serving: Serving) -> None:
    """Once the fault is mended: the same run, with its errors before it."""
    mended = False

    @app.task
    async def deliver(parcel: str) -> str:
        if not mended:
            raise ConnectionError(f"nobody is at home for {parcel}")
        return f"{parcel} delivered"

    async with serving(app):
        ref = await deliver.aio_delay("parcel-7")
        with pytest.raises(TaskRunError, match="nobody is at home"):
            await ref.aio_result(timeout=30)
        (dead,) = await app.dead_letter.aio_list(RunFilter(workflow_names=["deliver"]))
        assert (dead.id, dead.errors[0].type) == (ref.id, "ConnectionError")

        mended = True
        retried = await app.dead_letter.aio_retry(filters=RunFilter(error_types=["ConnectionError"]))
        assert retried.counts["replayed"] == 1
        assert await app.runs.aio_get_result(ref.id, timeout=30) == "parcel-7 delivered"
    run = await app.runs.aio_get(ref.id)
    assert (run.replays, run.attempt, len(run.errors)) == (1, 1, 1)


async def test_what_is_beyond_help_is_deleted(app: Windlass, serving: Serving) -> None:
    """With all that belongs to it; nothing but what has failed."""

    @app.task
    async def hopeless() -> None:
        raise ValueError

    async with serving(app):
        refs = [await hopeless.aio_delay() for _ in range(3)]
        for ref in refs:
            with pytest.raises(TaskRunError):
                await ref.aio_result(timeout=30)
    waits = await hopeless.options(delay="1h").aio_delay()
    deleted = await app.dead_letter.aio_delete([refs[0].id, waits.id])
    assert deleted.outcomes == {refs[0].id: "deleted", waits.id: "not_failed"}
    assert (await app.dead_letter.aio_delete(filters=RunFilter(workflow_names=["hopeless"]))).counts == {"deleted": 2}
    with pytest.raises(UnknownRun):
        await refs[1].aio_status()
    assert await waits.aio_status() is RunStatus.QUEUED
