"""Many runs are watched at once, and nobody asks twice."""

import asyncio

from tests.fundamentals.conftest import Serving
from windlass import RunStatus, Windlass


async def test_runs_are_watched_until_all_have_ended(app: Windlass, serving: Serving) -> None:
    """Each is told as it stands at first, and again when it starts or ends."""
    go_on = asyncio.Event()

    @app.task
    async def step(number: int) -> int:
        await go_on.wait()
        return 1 // number

    refs = [await step.aio_delay(number) for number in (0, 1)]
    told: dict[str, list[RunStatus]] = {ref.id: [] for ref in refs}
    async with serving(app):
        async for state in app.runs.aio_watch(told):
            told[state.id].append(state.status)
            if all(RunStatus.RUNNING in statuses for statuses in told.values()):
                go_on.set()
    assert [statuses[-1] for statuses in told.values()] == [RunStatus.FAILED, RunStatus.COMPLETED]
