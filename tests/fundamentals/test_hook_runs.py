"""A hook's execution is a run of its own: it can be looked at, fails and is retried by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from windlass import Context, RunStatus, Windlass
from windlass.cli.run_views import show_run

if TYPE_CHECKING:
    import pytest

    from tests.fundamentals.conftest import Serving
    from windlass.testing import Engine


class Told(asyncio.Queue[Any]):
    """What hooks have told, in this process."""

    async def next(self) -> Any:
        """Wait for it."""
        async with asyncio.timeout(30):
            return await self.get()


async def test_a_hook_s_run_can_be_looked_at(
    app: Windlass,
    serving: Serving,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each of the two runs names the other; the hook's has its own attempts, output and log."""
    monkeypatch.setenv("WINDLASS_API_ADDRESS", engine.api_address)
    told = Told()
    orders = app.workflow(name="orders")

    @orders.task(retries=1)
    def charge(order_id: str) -> None:
        raise ConnectionError(order_id)

    @orders.on_failure_task(retries=1)
    async def alert(ctx: Context, order_id: str) -> str:
        ctx.log(f"{order_id} failed")
        told.put_nowait((ctx.task_run_id, sorted(ctx.task_run_errors)))
        if ctx.attempt_number == 1:
            raise OSError("no mail")
        return order_id

    async with serving(app):
        ref = await orders.aio_delay({"order_id": "a"}, additional_metadata={"shop": "b"})
        hook_run_id, failed = await told.next()
        assert failed == ["charge"]
        assert await told.next() == (hook_run_id, ["alert", "charge"])
        assert await app.runs.aio_get_result(hook_run_id, timeout=30) == "a"
    run, hook_run = await app.runs.aio_get(ref.id), await app.runs.aio_get(hook_run_id)
    assert (run.status, run.attempt, run.hook_run_id, run.hook_name) == (RunStatus.FAILED, 2, hook_run_id, None)
    assert (hook_run.hook_name, hook_run.followed_run_id, hook_run.hook_run_id) == ("alert", ref.id, None)
    assert (hook_run.input, hook_run.additional_metadata) == ({"order_id": "a"}, {"shop": "b"})
    assert [error.type for error in hook_run.errors] == ["OSError"]
    lines = await app.logs.aio_list(hook_run_id)
    assert [line.message for line in lines] == ["a failed", "a failed"]
    for run_id, shown in ((ref.id, f"followed by run {hook_run_id}"), (hook_run_id, f"follows run {ref.id}")):
        await asyncio.to_thread(show_run, run_id, as_json=False)
        assert shown in " ".join(capsys.readouterr().out.split())
    info = await app.workflows.aio_get("orders")
    assert (info.task_names, info.on_failure, info.on_success) == (("charge",), "alert", None)


async def test_a_cancelled_run_has_no_hook(app: Windlass, serving: Serving) -> None:
    """Somebody has ended it: it has neither failed nor succeeded."""
    told, started = Told(), asyncio.Event()
    naps = app.workflow(name="naps")

    @naps.task
    async def sleep(input: bool, ctx: Context) -> None:
        started.set()
        if input:
            await asyncio.Event().wait()

    @naps.on_failure_task
    async def weep(ctx: Context) -> None:
        told.put_nowait("weep")

    @naps.on_success_task
    async def cheer(ctx: Context) -> None:
        told.put_nowait("cheer")

    async with serving(app):
        ref = await naps.aio_delay(True)
        await started.wait()
        assert await ref.aio_cancel()
        assert await naps.aio_run(False) == {"sleep": None}
        assert await told.next() == "cheer"
        assert told.empty()
    assert (await app.runs.aio_get(ref.id)).hook_run_id is None
