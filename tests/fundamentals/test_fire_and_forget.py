"""Submitting without waiting, before there is any worker."""

from tests.fundamentals.conftest import Serving
from windlass import RunStatus, Windlass


async def test_run_waits_for_a_worker_and_not_for_its_caller(app: Windlass, serving: Serving) -> None:
    """A reference is there at once; status and result are asked for later."""

    @app.task
    def late(number: int) -> int:
        return number + 1

    ref = await late.aio_delay(41)
    assert await ref.aio_status() is RunStatus.QUEUED
    async with serving(app):
        assert await ref.aio_result(timeout=30) == 42
    assert await app.runs.aio_get_status(ref.id) is RunStatus.COMPLETED
