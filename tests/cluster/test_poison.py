"""A task that kills its process, again and again: its neighbours complete, it is parked, the worker goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.until import until
from windlass import RunStatus, TaskRunError, Windlass
from windlass.testing import Engine, start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEIGHBOURS = 20

PROGRAM = """
    import asyncio, ctypes, os, signal
    from pathlib import Path
    from windlass import Windlass

    app = Windlass()
    begun = Path("begun")

    def note():
        with begun.open("a") as file:
            print(os.getpid(), file=file)

    @app.task
    async def whoami() -> int:
        return os.getpid()

    @app.task
    async def neighbour() -> int:
        note()
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        return os.getpid()

    @app.task
    async def poison(neighbours: int) -> None:
        while len(begun.read_text().splitlines()) < neighbours:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task
    def hold_gil(seconds: int) -> str:
        note()
        ctypes.PyDLL(None).sleep(seconds)
        return "held"
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine whose sessions end soon."""
    with start_engine(settings={"WINDLASS_SESSION_TTL": "3", "WINDLASS_HEARTBEAT_INTERVAL": "1"}) as running:
        yield running


@pytest.fixture
def app(engine: Engine) -> Iterator[Windlass]:
    """A caller."""
    with Windlass(config=engine.config) as each:
        yield each


@contextmanager
def worker(engine: Engine, app: Windlass, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the program by command line; ended in good order, if it has not been, and gone from the engine."""
    (folder / "poisoned.py").write_text(textwrap.dedent(PROGRAM))
    (folder / "begun").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "windlass.cli", "worker", "poisoned", *options],
        cwd=folder,
        env={**os.environ, "WINDLASS_API_ADDRESS": engine.api_address},
    ) as process:
        try:
            until(lambda: len(app.workers.list()) == 1, "the worker is connected")
            yield process
        finally:
            process.terminate()
            process.wait(30)
            until(lambda: not app.workers.list(), "the engine knows of no worker")


def both(app: Windlass) -> set[int]:
    """In which processes a few attempts at the same time were."""
    return {each.result(timeout=60) for each in [app.enqueue("whoami") for _ in range(4)]}


def begun_by(folder: Path) -> list[int]:
    """In which processes attempts have begun."""
    return [int(line) for line in (folder / "begun").read_text().split()]


def test_poison_costs_its_neighbours_nothing_and_ends_parked(engine: Engine, app: Windlass, tmp_path: Path) -> None:
    """It was among others once and alone three times; they have one attempt each, and all complete."""
    with worker(engine, app, tmp_path) as process:
        (before,) = app.workers.list()
        neighbours = [app.enqueue("neighbour") for _ in range(NEIGHBOURS)]
        poison = app.enqueue("poison", {"neighbours": NEIGHBOURS})
        with pytest.raises(TaskRunError) as raised:
            poison.result(timeout=60)
        assert raised.value.type == "Crashed"
        (tmp_path / "go").touch()
        for each in neighbours:
            each.result(timeout=60)
        runs = [app.runs.get(each.id) for each in neighbours]
        assert {run.status for run in runs} == {RunStatus.COMPLETED}
        assert poison.id in [run.id for run in app.dead_letter.list()]
        (after,) = app.workers.list()
        assert (after.id, process.poll()) == (before.id, None)


def test_killed_child_is_noticed_at_once_and_its_work_done_by_another(
    engine: Engine, app: Windlass, tmp_path: Path
) -> None:
    """Long before a session could expire; what executes in the other child goes on."""
    with worker(engine, app, tmp_path, "--processes", "2", "--slots", "10"):
        until(lambda: len(both(app)) == 2, "both children execute")
        runs = [app.enqueue("neighbour") for _ in range(10)]
        until(lambda: len(begun_by(tmp_path)) == 10, "all have begun")
        killed, other = sorted(set(begun_by(tmp_path)))
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(begun_by(tmp_path)) == 15, "its five begin again", 10)
        (tmp_path / "go").touch()
        ended_in = [each.result(timeout=60) for each in runs]
        assert ended_in.count(other) == 5
        assert killed not in ended_in


def test_session_outlives_a_blocked_gil(engine: Engine, app: Windlass, tmp_path: Path) -> None:
    """For two sessions' length; the run has one attempt, and a run in the other child ends meanwhile."""
    with worker(engine, app, tmp_path, "--processes", "2"):
        held = app.enqueue("hold_gil", {"seconds": 7})
        until(lambda: len(begun_by(tmp_path)) == 1, "it holds the GIL")
        (tmp_path / "go").touch()
        assert app.enqueue("neighbour").result(timeout=5) not in begun_by(tmp_path)[:1]
        assert held.result(timeout=60) == "held"
        assert len(begun_by(tmp_path)) == 2
