"""The migration guide from Celery, step 10, typed in: routing, hooks, progress, cancelling, priority, testing."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from windlass import (
    CallNext,
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    DesiredWorkerLabel,
    Priority,
    Progress,
    RunCancelled,
    RunStatus,
    TaskRunError,
    Windlass,
)

if TYPE_CHECKING:
    from tests.fundamentals.conftest import Serving


class ImageInput(BaseModel):
    """A picture, and what is to be done to it."""

    image_url: str
    filters: list[str]


class ImageOutput(BaseModel):
    """Where the result is."""

    processed_url: str


PHOTO = ImageInput(image_url="https://example.com/photo.png", filters=["thumbnail"])


async def process_batch(_batch: int) -> None:
    """Let others run."""
    await asyncio.sleep(0)


async def test_a_worker_gets_the_tasks_that_it_registers(app: Windlass) -> None:
    """`task_routes` become `workflows=[...]`."""

    @app.task
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return ctx.worker_id

    @app.task
    async def send_email(input: ImageInput, ctx: Context) -> str:
        return ctx.worker_id

    images = app.worker("image-processing-worker", slots=4, workflows=[process_image])
    notifications = app.worker("notifications-worker", slots=4, workflows=[send_email])
    for worker in (images, notifications):
        await worker.aio_start()
    try:
        assert await process_image.aio_run(PHOTO) == images.id
        assert await send_email.aio_run(PHOTO) == notifications.id
    finally:
        for worker in (images, notifications):
            await worker.aio_stop()


async def test_a_worker_gets_the_queues_that_it_serves(app: Windlass) -> None:
    """`-Q image-processing`: a queue on the decorator, or at the call."""

    @app.task(queue="image-processing")
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return ctx.worker_id

    images = app.worker("images", queues=["image-processing"])
    rest = app.worker("rest", queues=["default"])
    for worker in (images, rest):
        await worker.aio_start()
    try:
        assert await process_image.aio_run(PHOTO) == images.id
        assert await process_image.aio_run(PHOTO, queue="default") == rest.id
    finally:
        for worker in (images, rest):
            await worker.aio_stop()


async def test_a_run_goes_where_its_labels_say(app: Windlass, serving: Serving) -> None:
    """Exchanges and routing keys become labels of workers."""

    @app.task(desired_worker_labels={"gpu": DesiredWorkerLabel(value="a100", required=True)})
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return ctx.worker_labels["gpu"]

    async with serving(app, labels={"gpu": "none"}), serving(app, labels={"gpu": "a100"}):
        assert await process_image.aio_run(PHOTO) == "a100"


async def test_signals_become_middleware(app: Windlass, serving: Serving) -> None:
    """`task_prerun`, `task_postrun`, `task_success` and `task_failure` of every task of the app, each attempt."""
    told: list[str] = []

    @app.middleware
    async def tell_operators(ctx: Context, call_next: CallNext) -> Any:
        told.append(f"{ctx.task_name} begins")
        try:
            output = await call_next()
        except Exception as error:
            told.append(f"{ctx.task_name} failed: {error}")
            raise
        told.append(f"{ctx.task_name} succeeded: {output}")
        return output

    @app.task
    async def charge(order_id: str) -> str:
        return f"{order_id} charged"

    @app.task
    def refuse(order_id: str) -> str:
        raise ValueError(order_id)

    async with serving(app):
        await charge.aio_run("A1")
        with pytest.raises(TaskRunError):
            await refuse.aio_run("A2")
    assert told == ["charge begins", "charge succeeded: A1 charged", "refuse begins", "refuse failed: A2"]


class OrderInput(BaseModel):
    """Which order."""

    order_id: str


async def test_task_failure_and_task_success_become_hooks_of_the_workflow(app: Windlass, serving: Serving) -> None:
    """Each is told after the run's end, with the run's input, and knows which run that was."""
    heard: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def process_charge(order_id: str) -> None:
        if order_id == "A2":
            raise ValueError(order_id)

    hook_example = app.workflow(name="HookExample", input_validator=OrderInput)

    @hook_example.task()
    async def process_order(input: OrderInput, ctx: Context) -> dict[str, str]:
        ctx.log(f"Processing order {input.order_id}")
        await process_charge(input.order_id)
        ctx.log(f"Order {input.order_id} charged")
        return {"status": "charged"}

    @hook_example.on_failure_task()
    async def on_order_failure(input: OrderInput, ctx: Context) -> None:
        ctx.log(f"Order {input.order_id} failed, notifying support")
        failed = ctx.get_task_run_error(process_order)
        await heard.put((ctx.workflow_run_id, ctx.task_run_id, failed.type if failed else ""))

    @hook_example.on_success_task()
    async def on_order_success(input: OrderInput, ctx: Context) -> None:
        ctx.log(f"Order {input.order_id} completed successfully")
        await heard.put((ctx.workflow_run_id, ctx.task_run_id, ctx.task_output(process_order)["status"]))

    async with serving(app):
        ref = await hook_example.aio_run(OrderInput(order_id="A1"), wait_for_result=False)
        assert await ref.aio_result() == {"process_order": {"status": "charged"}}
        run_id, hook_id, told = await heard.get()
        assert (run_id, told) == (ref.workflow_run_id, "charged")
        assert await app.runs.aio_get_result(hook_id) is None
        failing = await hook_example.aio_run(OrderInput(order_id="A2"), wait_for_result=False)
        with pytest.raises(TaskRunError, match="ValueError"):
            await failing.aio_result()
        run_id, hook_id, told = await heard.get()
        assert (run_id, told) == (failing.workflow_run_id, "ValueError")
        await app.runs.aio_get_result(hook_id)
        assert [line.message for line in await app.logs.aio_list(hook_id)] == ["Order A2 failed, notifying support"]
        assert (await app.runs.aio_get(failing.workflow_run_id)).hook_run_id == hook_id


async def test_update_state_becomes_progress(app: Windlass, serving: Serving) -> None:
    """`self.update_state(state="PROGRESS", meta=...)`: numbers and a message; what is for people is logged too."""

    @app.task
    async def process_order(ctx: Context, order_id: str) -> str:
        for step, name in enumerate(("charge", "pack", "ship"), start=1):
            ctx.log(f"{name} {order_id}")
            ctx.progress(step, total=3, message=name)
        return "done"

    async with serving(app):
        ref = await process_order.aio_delay("A1")
        told = [state.progress async for state in app.runs.aio_watch([ref.id]) if state.progress]
    assert told[-1] == Progress(done=3, total=3, message="ship")
    assert [line.message for line in await app.logs.aio_list(ref.id)] == ["charge A1", "pack A1", "ship A1"]


async def test_live_progress_data_moves_to_streams(app: Windlass, serving: Serving) -> None:
    """`ctx.put_stream()`, in place of a channel of one's own: for application code, while the task goes on."""
    read: asyncio.Queue[object] = asyncio.Queue()

    @app.task
    async def render(ctx: Context, frames: int) -> int:
        for frame in range(frames):
            await ctx.aio_put_stream(json.dumps({"frame": frame}))
            assert await read.get() == {"frame": frame}
        return frames

    async with serving(app):
        ref = await render.aio_delay(3)
        async for chunk in app.runs.aio_subscribe_to_stream(ref.id):
            read.put_nowait(json.loads(chunk.data))
    assert await ref.aio_result(timeout=30) == 3


async def test_a_run_is_cancelled_by_its_id(app: Windlass, serving: Serving) -> None:
    """`revoke()`: a queued one ends at once, a running one is told and stops."""
    begun, seen = asyncio.Event(), asyncio.Event()

    @app.task
    async def long_running(input, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as the guide has it
        begun.set()
        for batch in itertools.count():
            if ctx.is_cancelled:
                break
            await process_batch(batch)
        seen.set()
        return {"status": "cancelled"}

    queued = await long_running.aio_run(wait_for_result=False)
    await app.runs.aio_cancel(queued.workflow_run_id)
    assert await app.runs.aio_get_status(queued.workflow_run_id) is RunStatus.CANCELLED
    async with serving(app):
        ref = await long_running.aio_run(wait_for_result=False)
        async with asyncio.timeout(30):
            await begun.wait()
            await app.runs.aio_cancel(ref.workflow_run_id)
            await seen.wait()
        with pytest.raises(RunCancelled):
            await ref.aio_result(timeout=30)


async def test_a_newer_run_cancels_the_one_before(app: Windlass, serving: Serving) -> None:
    """`CANCEL_IN_PROGRESS`, for the same key."""
    begun = asyncio.Event()

    @app.task(
        concurrency=ConcurrencyExpression(
            expression="input.image_url",
            max_runs=1,
            limit_strategy=ConcurrencyLimitStrategy.CANCEL_IN_PROGRESS,
        ),
    )
    async def process_image(input: ImageInput, ctx: Context) -> str:
        if input.filters == ["slow"]:
            begun.set()
            await asyncio.Event().wait()
        return input.filters[0]

    async with serving(app), asyncio.timeout(30):
        slow = ImageInput(image_url=PHOTO.image_url, filters=["slow"])
        before = await process_image.aio_run(slow, wait_for_result=False)
        await begun.wait()
        assert await process_image.aio_run(PHOTO) == "thumbnail"
        with pytest.raises(RunCancelled):
            await before.aio_result()


async def test_priority_is_an_enum(app: Windlass, serving: Serving) -> None:
    """At the call, or as the task's default."""

    @app.task(default_priority=Priority.LOW)
    async def process_image(input: ImageInput, ctx: Context) -> str:
        return ctx.priority.name

    ref = await process_image.aio_run(PHOTO, wait_for_result=False, priority=Priority.HIGH)
    async with serving(app):
        assert await ref.aio_result(timeout=30) == "HIGH"
        assert await process_image.aio_run(PHOTO) == "LOW"


async def test_tasks_are_tested_without_an_engine() -> None:
    """`task_always_eager`: `mock_run` and `aio_mock_run` execute the function with a mocked Context."""
    app = Windlass()

    @app.task(name="process-image", input_validator=ImageInput)
    async def process_image(input: ImageInput, ctx: Context) -> ImageOutput:
        ctx.log(f"attempt {ctx.retry_count + 1} for {ctx.additional_metadata['customer']}")
        return ImageOutput(processed_url=f"{input.image_url}?{ctx.lifespan}")

    result = await process_image.aio_mock_run(
        input=PHOTO, additional_metadata={"customer": "u1"}, retry_count=2, lifespan="thumbnail"
    )
    assert result.processed_url == "https://example.com/photo.png?thumbnail"


async def test_status_and_result_of_a_run(app: Windlass, serving: Serving) -> None:
    """`AsyncResult.state` and `.get()`, of steps 4 and 9."""

    @app.task(name="process-image", input_validator=ImageInput)
    async def process_image(input: ImageInput, ctx: Context) -> ImageOutput:
        return ImageOutput(processed_url=input.image_url)

    async with serving(app):
        ref = await process_image.aio_run(PHOTO, wait_for_result=False)
        assert (await ref.aio_result()).processed_url == PHOTO.image_url
        assert await app.runs.aio_get_status(ref.workflow_run_id) == "COMPLETED"
