"""What the command line says and how it leaves, as far as no engine is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def windlass(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with nothing of ours in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "windlass.cli", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_loads_neither_grpc_nor_pydantic(tmp_path: Path) -> None:
    """It is asked for often and must be quick."""
    program = (
        "import sys\nfrom windlass.cli import main\nsys.argv = ['windlass', '--help']\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print('loaded', {'grpc', 'pydantic', 'watchfiles', 'uvloop'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    assert "scheduler" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "loaded set()"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["worker"], 2, "no app named"),
        (["worker", "nowhere"], 2, "there is no module nowhere"),
        (["worker", "dev", "one", "two"], 2, "one app at a time"),
        (["dev", "a.py"], 2, "is a file"),
        (["run", "x", "--input", "{"], 2, "--input is no JSON"),
        (["run", "x", "--metadata", "[]"], 2, "a JSON object was expected"),
        (["run", "x", "--priority", "urgent"], 2, "low, medium, high or critical"),
        (["runs", "list", "--status", "lost"], 2, "expected one of QUEUED"),
    ],
)
def test_wrong_usage_is_one_line_without_a_traceback(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """The line says what was expected."""
    ended = windlass(tmp_path, *arguments)
    assert ended.returncode == code
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr


def test_an_engine_that_is_not_there_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """A port on which nobody listens."""
    ended = windlass(tmp_path, "workers", WINDLASS_API_ADDRESS="127.0.0.1:1", WINDLASS_CONNECT_TIMEOUT="0.5")
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """It is wrong usage, and says which variable."""
    ended = windlass(tmp_path, "workers", WINDLASS_API_ADDRESS="http://127.0.0.1:7070")
    assert ended.returncode == 2
    assert "WINDLASS_API_ADDRESS" in ended.stderr
