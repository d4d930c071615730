"""A stream comes whole, whatever dies between the task and its reader."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from redis import Redis

from windlass import Context, TaskRunError, Windlass
from windlass.testing import Engine, start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from windlass_core.local import LocalCluster, Process

# A run keeps 1 MiB of them, and an attempt has 256 KiB of them under way.
_CHUNKS = 300
_PADDING = "x" * 3_000

app = Windlass()  # a global: children import this module and find it here


@app.task
async def pour(ctx: Context) -> None:
    """Put more than may be under way, many times over."""
    for number in range(_CHUNKS):
        await ctx.aio_put_stream(f"{number} {_PADDING}")


@app.task
def pour_in_thread(ctx: Context) -> None:
    """Do as `pour`."""
    for number in range(_CHUNKS):
        ctx.put_stream(f"{number} {_PADDING}")


@app.task(executor="process")
def pour_alone(ctx: Context) -> None:
    """Do as `pour`."""
    for number in range(_CHUNKS):
        ctx.put_stream(f"{number} {_PADDING}")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give them an engine of their own."""
    with start_engine() as running:
        yield running


@pytest.fixture(autouse=True)
async def connected(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the app, and its children, talk to it."""
    monkeypatch.setattr(app, "config", engine.config)


async def _read(engine: Engine, name: str, processes: int, kills: dict[int, Process]) -> list[tuple[int, str]]:
    """What a reader gets of a run; a process dies when it has read the chunk of an offset."""
    worker = app.worker("pourer", processes=processes)
    await worker.aio_start()
    await asyncio.to_thread(worker.wait_ready)
    read: list[tuple[int, str]] = []
    async with asyncio.timeout(120), Windlass(config=engine.config) as reader:
        ref = await reader.aio_enqueue(name)
        async for chunk in reader.runs.aio_subscribe_to_stream(ref.id):
            read.append((chunk.offset, str(chunk.data).split()[0]))
            if (process := kills.get(chunk.offset)) is not None:
                await asyncio.to_thread(process.kill)
                await asyncio.to_thread(process.restart)
    await worker.aio_stop()
    return read


@pytest.mark.parametrize(("name", "processes"), [("pour", 0), ("pour_in_thread", 1)])
async def test_a_killed_dispatcher_and_a_killed_api_cost_no_chunk(engine: Engine, name: str, processes: int) -> None:
    """Each comes once and in order, from a task in this process and from one in a child."""
    cluster = cast("LocalCluster", engine.cluster)
    (dispatcher,), (api,) = cluster.processes("dispatcher"), cluster.processes("api")
    read = await _read(engine, name, processes, {0: dispatcher, 100: api})
    assert read == [(number, str(number)) for number in range(_CHUNKS)]


async def test_a_task_in_a_process_of_its_own_streams_too(engine: Engine) -> None:
    """It waits for room as any other."""
    assert await _read(engine, "pour_alone", 0, {}) == [(number, str(number)) for number in range(_CHUNKS)]


async def test_a_full_store_cuts_a_stream_off_and_its_task_is_told(engine: Engine) -> None:
    """What came before is there; the run ends, as ends always may."""
    read: list[object] = []
    with Redis.from_url(cast("LocalCluster", engine.cluster).store_url) as store:
        async with asyncio.timeout(120), Windlass(config=engine.config) as own:
            go_on = asyncio.Event()

            @own.task
            async def pour_on(ctx: Context) -> None:
                await ctx.aio_put_stream("before")
                await go_on.wait()
                while True:
                    await ctx.aio_put_stream(_PADDING)

            worker = own.worker("pourer")
            await worker.aio_start()
            ref = await pour_on.aio_delay()
            try:
                async for chunk in own.runs.aio_subscribe_to_stream(ref.id):
                    read.append(chunk.data)
                    store.config_set("maxmemory", 1)
                    go_on.set()
            finally:
                store.config_set("maxmemory", 0)
            with pytest.raises(TaskRunError, match="cut off") as raised:
                await ref.aio_result()
            await worker.aio_stop()
    assert (read, raised.value.type) == (["before"], "StoreFull")
