"""CPU-bound work in a process of its own, which can be killed."""

import os
import time

import pytest

from tests.fundamentals.conftest import Serving
from windlass import Context, TaskRunError, Windlass
from windlass.testing import Engine

app = Windlass()  # a global: the processes that execute its tasks import this module and find it here


@app.task(executor="process")
def crunch(number: int) -> tuple[int, int]:
    """Use a CPU without being in anybody's way."""
    return os.getpid(), sum(i * i for i in range(number))


@app.task(executor="process", execution_timeout=0.5)
def spin(ctx: Context) -> None:
    """Never end."""
    ctx.log(f"spinning in process {os.getpid()}")
    while True:
        time.sleep(0)


@pytest.fixture(autouse=True)
def connected(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the app talk to the tests' engine."""
    monkeypatch.setattr(app, "config", engine.config)


async def test_process_task_has_a_process_of_its_own(serving: Serving) -> None:
    """It holds up nobody, and nobody holds it up."""
    async with serving(app):
        pid, total = await crunch.aio_run(1000)
    assert (pid != os.getpid(), total) == (True, 332_833_500)


async def test_process_task_is_killed_at_its_execution_timeout(serving: Serving) -> None:
    """Whatever it does then."""
    async with serving(app):
        ref = await spin.aio_delay()
        with pytest.raises(TaskRunError) as raised:
            await ref.aio_result(timeout=30)
    assert raised.value.type == "ExecutionTimeout"
