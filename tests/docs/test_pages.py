"""Runs the programs that the pages show, against a real engine and a worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]

_BLOCK: Final = re.compile(r"^```python\n# (\w+\.py)(?:, continued)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NOT_RUN: Final = {"tasks.py", "worker.py"}


def programs(page: Path) -> dict[str, str]:
    """Give the files that a page shows, by name; a file may go on in further blocks."""
    found: dict[str, str] = {}
    for name, code in _BLOCK.findall(page.read_text("utf-8")):
        found[name] = found.get(name, "") + code
    return found


def pages_with_tasks() -> list[str]:
    """Give each page that shows a `tasks.py`."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [str(page.relative_to(ROOT)) for page in pages if "tasks.py" in programs(page)]


@contextmanager
def worker(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Serve the page's tasks."""
    command = [sys.executable, "-m", "windlass.cli", "worker", "tasks"]
    process = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("page", pages_with_tasks())
def test_every_program_on_the_page_runs(page: str, tmp_path: Path) -> None:
    """Each named block is a file; those that are not served or tested are run to their end."""
    files = programs(ROOT / page)
    for name, code in files.items():
        (tmp_path / name).write_text(code, "utf-8")
    with start_engine() as engine:
        environment = {**os.environ, "WINDLASS_API_ADDRESS": engine.api_address}
        with worker(tmp_path, environment):
            for name in sorted(files.keys() - _NOT_RUN):
                how = ["-m", "pytest", "-q", "-p", "no:randomly"] if name.startswith("test_") else []
                ended = subprocess.run(
                    [sys.executable, *how, name],
                    cwd=tmp_path,
                    env=environment,
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert ended.returncode == 0, f"{name}\n{ended.stdout}\n{ended.stderr}"


def test_readme_calls_what_it_shows(tmp_path: Path) -> None:
    """The one-liner under the first task gives what the page says it gives."""
    text = (ROOT / "README.md").read_text("utf-8")
    (tmp_path / "tasks.py").write_text(programs(ROOT / "README.md")["tasks.py"], "utf-8")
    shown = re.search(r"^\$ \.venv/bin/python -c '(.+)'\n(.+)$", text, re.MULTILINE)
    assert shown is not None
    with start_engine() as engine:
        environment = {**os.environ, "WINDLASS_API_ADDRESS": engine.api_address}
        with worker(tmp_path, environment):
            ended = subprocess.run(
                [sys.executable, "-c", shown[1]],
                cwd=tmp_path,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            )
    assert ended.stdout.strip() == shown[2]
