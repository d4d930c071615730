"""Following goes on where it was, whatever happens to the api."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from windlass import Context, RunStatus, Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    from windlass_core.local import LocalCluster


async def test_a_killed_api_costs_no_line_and_no_state() -> None:
    """The log goes on at its offset, the states at what has changed meanwhile."""
    with start_engine() as engine:
        (api,) = cast("LocalCluster", engine.cluster).processes("api")
        go_on = asyncio.Event()
        async with Windlass(config=engine.config) as app:

            @app.task
            async def talk(ctx: Context) -> None:
                ctx.log("before")
                await go_on.wait()
                ctx.log("meanwhile")

            ref = await talk.aio_delay()
            worker = app.worker("talker")
            await worker.aio_start()
            states: list[tuple[RunStatus, str]] = []

            async def watch() -> None:
                states.extend([(state.status, state.phase) async for state in app.runs.aio_watch([ref.id])])

            watching = asyncio.create_task(watch())
            lines: list[tuple[int, str]] = []
            async with asyncio.timeout(60):
                async for line in app.logs.aio_tail(ref.id):
                    lines.append((line.offset, line.message))
                    if line.message == "before":
                        await asyncio.to_thread(api.kill)
                        go_on.set()
                        await asyncio.to_thread(api.restart)
                await watching
            await worker.aio_stop()
    assert lines == [(0, "before"), (1, "meanwhile")]
    assert states[-1][0] is RunStatus.COMPLETED
    assert len(states) == len(set(states))
