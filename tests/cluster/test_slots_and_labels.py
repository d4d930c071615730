"""A worker with several processes, against a real engine: slots given up in one, labels changed for all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.support.until import until
from windlass import DesiredWorkerLabel, RunStatus, Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
    import asyncio, os, time
    from windlass import Context, Windlass

    app = Windlass()

    @app.task
    async def wait_for(ctx: Context, path: str) -> int:
        await ctx.aio_release_slot()
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        return os.getpid()

    @app.task(executor="process")
    def wait_alone(ctx: Context, path: str) -> int:
        ctx.release_slot()
        while not os.path.exists(path):
            time.sleep(0.01)
        return os.getpid()

    @app.task
    async def look(ctx: Context, path: str) -> tuple[int, dict[str, str]]:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        return os.getpid(), dict(ctx.worker_labels)

    @app.task(executor="process")
    def look_alone(ctx: Context) -> dict[str, str]:
        return dict(ctx.worker_labels)

    @app.task
    async def relabel(ctx: Context, labels: dict[str, str]) -> None:
        ctx.upsert_worker_labels(labels)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windlass]:
    """A caller, while a worker with two children and two slots serves the program."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "served.py").write_text(textwrap.dedent(PROGRAM))
    options = ["--slots", "2", "--processes", "2", "--label", "zone=a"]
    with (
        start_engine() as engine,
        Windlass(config=engine.config) as app,
        subprocess.Popen(
            [sys.executable, "-m", "windlass.cli", "worker", "served", *options],
            cwd=folder,
            env={**os.environ, "WINDLASS_API_ADDRESS": engine.api_address},
        ) as process,
    ):
        try:
            until(lambda: len(app.workers.list()) == 1, "the worker is connected")
            yield app
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("task", ["wait_for", "wait_alone"])
def test_attempts_without_slots_go_on_beside_those_that_have_some(app: Windlass, tmp_path: Path, task: str) -> None:
    """Five times as many as there are slots, each in a process; they end as ever, and no slot is left over."""
    go = tmp_path / "go"
    waiting = [app.enqueue(task, {"path": str(go)}) for _ in range(10)]
    until(lambda: {each.status() for each in waiting} == {RunStatus.RUNNING}, "all of them execute")
    (worker,) = app.workers.list()
    until(lambda: app.workers.get(worker.id).slots_used == 0, "they have given up their slots")
    app.enqueue("relabel", {"labels": {"other": "work"}}).result(timeout=60)
    go.touch()
    assert len({each.result(timeout=60) for each in waiting}) > 1
    until(lambda: app.workers.get(worker.id).slots_used == 0, "no slot is taken")


def test_labels_changed_in_one_child_are_known_to_all_and_to_the_engine(app: Windlass, tmp_path: Path) -> None:
    """What waits for them is given out at once; attempts that had begun before see them too, and those elsewhere."""
    go = tmp_path / "go"
    look = {"path": str(go)}
    fast = DesiredWorkerLabel(value="fast", required=True)
    before = app.enqueue("look", look)
    waits = app.enqueue("look", look, desired_worker_labels={"disk": fast})
    app.enqueue("relabel", {"labels": {"disk": "fast"}}).result(timeout=60)
    (worker,) = app.workers.list()
    until(lambda: app.workers.get(worker.id).labels.get("disk") == "fast", "the engine knows")
    until(lambda: waits.status() is RunStatus.RUNNING, "what waited for the label executes")
    alone = app.enqueue("look_alone", desired_worker_labels={"disk": fast})
    go.touch()
    seen = [each.result(timeout=60) for each in (before, waits)]
    assert len({pid for pid, _ in seen}) == 2
    assert all(labels.items() >= {"zone": "a", "disk": "fast"}.items() for _, labels in seen)
    assert alone.result(timeout=60).items() >= {"zone": "a", "disk": "fast"}.items()
