# ruff: noqa: D103 - these stand for what users write
"""What type checkers make of the SDK. Never run: `test_types.py` has it checked.

Each `type: ignore` is a mistake that has to be found; an unused one is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, assert_type

from pydantic import BaseModel

from windlass import (
    BatchContext,
    CallNext,
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    Cron,
    CronInfo,
    Depends,
    Priority,
    RateLimit,
    RateLimitDuration,
    TaskRunRef,
    Windlass,
    WindlassError,
    Workflow,
    WorkflowRunRef,
)
from windlass.model_task import ModelFunction, ModelTask

if TYPE_CHECKING:
    from datetime import datetime

    from windlass.plain_task import PlainFunction, PlainTask


class Image(BaseModel):
    url: str


@dataclass
class Size:
    width: int


app = Windlass()


@app.task(name="process-image", input_validator=Image, retries=5, backoff_factor=2.0)
async def process_image(input: Image, ctx: Context) -> Size:
    return Size(len(input.url))


@app.task
async def bare_model(input: Image, ctx: Context) -> Size:
    return Size(1)


@app.task(retries=1)
def sync_model(input: Image, ctx: Context) -> Size:
    return Size(1)


@app.task
def resize(path: str, width: int = 3) -> Size:
    return Size(width)


@app.task(queue="fast")
async def resize_async(path: str, width: int = 3) -> Size:
    return Size(width)


@app.task(
    concurrency=[ConcurrencyExpression("input.path", 2, ConcurrencyLimitStrategy.CANCEL_NEWEST, level="task")],
    rate_limits=[RateLimit(dynamic_key="input.path", units="input.width", limit=5, duration=RateLimitDuration.HOUR)],
)
def gated(path: str, width: int = 3) -> Size:
    return Size(width)


@app.task(concurrency=3)
async def counted(input: Image, ctx: Context) -> Size:
    return Size(1)


app.task(concurrency="3")  # type: ignore[arg-type]
app.task(rate_limits=["mail"])  # type: ignore[list-item]


@app.task
def with_context(ctx: Context, path: str) -> Size:
    return Size(1)


@app.task
async def only_context(ctx: Context) -> None: ...


@app.task
def nothing() -> int:
    return 1


async def get_size(ctx: Context) -> Size:
    return Size(1)


def get_connection() -> Generator[Size, None, None]:
    yield Size(1)


async def get_pool() -> AsyncIterator[Size]:
    yield Size(1)


@app.task
async def needing_model(
    input: Image, ctx: Context, size: Annotated[Size, Depends(get_size)], pool: Annotated[Size, Depends(get_pool)]
) -> Size:
    return size


@app.task(retries=1)
def needing(path: str, size: Size = Depends(get_size), other: Size = Depends(get_connection)) -> Size:
    return size


@app.task
def needing_wrong(path: str, size: str = Depends(get_size)) -> None: ...  # type: ignore[assignment]


assert_type(needing_model.run(Image(url="a")), Size)
assert_type(needing_model.mock_run(Image(url="a"), dependencies={"size": Size(2)}), Size)
assert_type(needing.run("a"), Size)
assert_type(needing.mock_run("a", size=Size(2)), Size)
app.dependency_overrides[get_size] = lambda: Size(3)


@app.middleware
async def timed(ctx: Context, call_next: CallNext) -> Any:
    return await call_next()


@app.middleware  # type: ignore[type-var]
def not_async(ctx: Context, call_next: CallNext) -> int:
    return 1


assert_type(process_image, ModelTask[Image, Size, Coroutine[Any, Any, Size]])
assert_type(bare_model, ModelTask[Image, Size, Coroutine[Any, Any, Size]])
assert_type(sync_model, ModelTask[Image, Size, Size])

assert_type(process_image.run(Image(url="a")), Size)
assert_type(process_image.run(), Size)
assert_type(process_image.run(Image(url="a"), timeout="5m", priority=Priority.HIGH), Size)
assert_type(process_image.run(Image(url="a"), wait_for_result=False), TaskRunRef[Size])
assert_type(process_image.run(Image(url="a"), wait_for_result=False).result(timeout=5), Size)
assert_type(process_image.delay(Image(url="a"), queue="q"), TaskRunRef[Size])
assert_type(process_image.options(priority=Priority.LOW).run(Image(url="a")), Size)
assert_type(process_image.mock_run(Image(url="a"), retry_count=1), Size)
assert_type(sync_model(Image(url="a")), Size)

process_image.run("a")  # type: ignore[call-overload]
process_image.run(Image(url="a"), prioritty=1)  # type: ignore[call-overload]
process_image.run(Image(url="a"), timeout=[])  # type: ignore[call-overload]

items = [process_image.create_bulk_run_item(Image(url="a"), priority=Priority.LOW)]
assert_type(process_image.run_many(items), list[Size])
assert_type(process_image.run_many(items, return_exceptions=True), list[Size | WindlassError])
assert_type(process_image.run_many(items, wait_for_result=False), list[TaskRunRef[Size]])

assert_type(gated.run("a", width=3), Size)
assert_type(counted.run(Image(url="a")), Size)

assert_type(resize.run("a"), Size)
assert_type(resize.run("a", width=3), Size)
assert_type(resize("a", 3), Size)
assert_type(resize.delay("a"), TaskRunRef[Size])
assert_type(resize.options(timeout=3).run("a"), Size)
assert_type(resize.run_many([resize.create_bulk_run_item("a")]), list[Size])
assert_type(with_context.run("a"), Size)
assert_type(with_context("a"), Size)
assert_type(nothing.run(), int)

resize.run(3)  # type: ignore[arg-type]
resize.run("a", height=3)  # type: ignore[call-arg]
resize.run("a", priority=Priority.LOW)  # type: ignore[call-arg]
with_context.run()  # type: ignore[call-arg]

assert_type(app.enqueue("x", [1]), WorkflowRunRef[Any])


async def calls() -> None:
    assert_type(await process_image.aio_run(Image(url="a")), Size)
    assert_type(await process_image.aio_run(Image(url="a"), wait_for_result=False), TaskRunRef[Size])
    assert_type(await resize.aio_run("a"), Size)
    assert_type(await resize_async.aio_run("a", 3), Size)
    assert_type(await resize_async("a"), Size)
    assert_type(await bare_model(Image(url="a")), Size)
    assert_type(await only_context.aio_run(), None)
    assert_type(await (await resize.aio_delay("a")).aio_result(), Size)
    assert_type(await process_image.aio_run_many(items), list[Size])
    await resize.aio_run()  # type: ignore[call-arg]


@app.task(nme="x")  # type: ignore[call-overload, untyped-decorator]
def misspelt() -> None: ...


@app.task(input_validator=Image)  # type: ignore[arg-type]
def wrong_input(input: Size, ctx: Context) -> None: ...  # refused at decoration too


takes_plain: PlainTask[[str], Size] = with_context


@app.batch_task(batch_max_size=10, batch_group_key="url")
async def tag(images: list[Image], ctx: BatchContext) -> list[Size | ValueError]:
    return [Size(1) for _ in images]


@app.batch_task
def measure(images: list[Image]) -> list[Size]:
    return [Size(1) for _ in images]


@app.batch_task(batch_max_interval="1s", retries=3)
def forget(urls: list[str]) -> None: ...


async def batch_tasks() -> None:
    assert_type(tag.run(Image(url="a")), Size)
    assert_type(await measure.aio_run(Image(url="a")), Size)
    assert_type(measure.delay(Image(url="a")), TaskRunRef[Size])
    assert_type(forget.run("a"), None)
    assert_type(tag.mock_run(Image(url="a")), Size)
    measure([Image(url="a")])
    await tag([Image(url="a")])
    measure.run([Image(url="a")])  # type: ignore[call-overload] # one input a run
    measure(Image(url="a"))  # type: ignore[arg-type] # the function takes them all
    app.batch_task(batch_max_sise=3)  # type: ignore[call-overload] # misspelt


@app.task(on_crons=["@daily", Cron("0 9 * * *", "Asia/Tokyo", {"url": "x"}, catch_up="one", overlap="skip")])
def report(input: Image, ctx: Context) -> Size:
    return Size(1)


@app.task
def remind(whom: str, times: int = 1) -> str:
    return whom * times


async def later(at: datetime) -> None:
    assert_type(report.schedule(at, Image(url="")), TaskRunRef[Size])
    assert_type(await remind.aio_schedule(at, "a", times=2), TaskRunRef[str])
    assert_type(remind.options(priority=Priority.HIGH).schedule(at, "a"), TaskRunRef[str])
    assert_type(remind.create_cron("n", "@daily", {"whom": "a"}, catch_up="all"), CronInfo)
    assert_type(app.scheduled.create("remind", at, {"whom": "a"}), WorkflowRunRef[Any])
    remind.schedule(at)  # type: ignore[call-arg]
    remind.schedule("tomorrow", "a")  # type: ignore[arg-type]
    report.schedule(at, "a")  # type: ignore[arg-type]
    Cron("@daily", catch_up="some")  # type: ignore[arg-type]


images = app.workflow(name="images", input_validator=Image, default_priority=Priority.HIGH)


@images.task(retries=3)
async def shrink(input: Image, ctx: Context) -> Size:
    return Size(len(input.url))


@images.on_success_task
def publish(input: Image, ctx: Context) -> str:
    assert_type(ctx.task_output(shrink), Size)
    assert_type(ctx.task_output("shrink"), Any)
    return str(ctx.task_output(shrink).width)


@images.on_failure_task(execution_timeout="1m")
def discard(ctx: Context, url: str) -> None:
    ctx.get_task_run_error(shrink)


async def workflows() -> None:
    assert_type(images, Workflow[Image])
    assert_type(app.workflow(name="loose"), Workflow[Any])
    assert_type(shrink, ModelFunction[Image, Size, Coroutine[Any, Any, Size]])
    assert_type(images.run(Image(url="")), dict[str, Any])
    assert_type(await images.aio_run(Image(url=""), wait_for_result=False), TaskRunRef[dict[str, Any]])
    assert_type(images.run_many([images.create_bulk_run_item(Image(url=""))]), list[dict[str, Any]])
    assert_type(images.options(priority=Priority.LOW).delay(Image(url="")), TaskRunRef[dict[str, Any]])
    assert_type(await images.aio_mock_run(Image(url="")), dict[str, Any])
    assert_type(publish.mock_run(Image(url=""), parent_outputs={shrink: Size(1)}), str)
    assert_type(discard.mock_run("a"), None)
    app.worker("images", workflows=[images, report])
    images.run("a")  # type: ignore[call-overload] # no Image
    shrink.run(Image(url=""))  # type: ignore[attr-defined] # its workflow is run
    discard.mock_run(3)  # type: ignore[arg-type]
    app.worker("images", workflows=[shrink])  # type: ignore[list-item] # its workflow is served
    images.task(retires=3)  # type: ignore[call-overload] # misspelt
    app.workflow(name="w", retries=3)  # type: ignore[call-overload] # its task's
    app.workflow("w")  # type: ignore[call-overload] # by keyword


if TYPE_CHECKING:
    _plain_hook: PlainFunction[[str], None, None] = discard
