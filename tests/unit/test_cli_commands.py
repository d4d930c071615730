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
        stdin=subprocess.DEVNULL,
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
        (["run", "x", "--input", "@nowhere.json"], 2, "No such file"),
        (["run", "x", "--input", "-", "--metadata", "-"], 2, "cannot both be read from stdin"),
        (["run", "x", "--timeout", "soon"], 2, "--timeout='soon'"),
        (["run", "x", "--delay", "1y"], 2, "--delay"),
        (["run", "x", "--retries", "-1"], 2, "--retries"),
        (["run"], 2, "windlass run --help"),
        (["runs", "list", "--status", "lost"], 2, "expected one of QUEUED"),
        (["runs", "list", "--since", "yesterday"], 2, "--since='yesterday'"),
        (["runs", "list", "--metadata", "key"], 2, "expected KEY=VALUE"),
        (["runs", "list", "--limit", "0"], 2, "--limit"),
        (["runs", "list", "--nonsense"], 2, "No such option"),
        (["runs", "cancel"], 2, "name runs by their ids, choose them by options, or say --all"),
        (["runs", "replay", "--since", "soon"], 2, "--since='soon'"),
        (["runs", "replay", "x", "--failed"], 2, "not both"),
        (["dead-letter", "delete", "x", "--all"], 2, "not both"),
        (["dead-letter", "retry"], 2, "say --all"),
        (["cron", "create", "t", "n", "daily"], 2, "five fields"),
        (["cron", "create", "t", "n", "@daily", "--overlap", "never"], 2, "one of allow, skip, cancel_other"),
        (["cron", "create", "t", "n", "@daily", "--input", "{"], 2, "--input is no JSON"),
        (["cron", "create", "t", "n", "@daily", "--priority", "urgent"], 2, "low, medium, high or critical"),
        (["cron", "pause"], 2, "Missing argument"),
        (["runs", "watch", "a", "--status", "queued"], 2, "not both"),
        (["runs", "watch", "-"], 2, "no run ids on stdin"),
        (["runs", "logs", "a", "--level", "loud"], 2, "expected one of DEBUG"),
        (["runs", "logs"], 2, "Missing argument"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["runs", "nonsense"], 2, "No such command 'nonsense'"),
        (["dev", "--api-port", "x"], 2, "--api-port"),
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
    ended = windlass(tmp_path, "workers", "list", WINDLASS_API_ADDRESS="127.0.0.1:1", WINDLASS_CONNECT_TIMEOUT="0.5")
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """It is wrong usage, and says which variable."""
    ended = windlass(tmp_path, "workers", "list", WINDLASS_API_ADDRESS="http://127.0.0.1:7070")
    assert ended.returncode == 2
    assert "WINDLASS_API_ADDRESS" in ended.stderr


def test_a_shell_reads_the_settings_that_certs_prints(tmp_path: Path) -> None:
    """Also where there is a space in the path."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    made = windlass(folder, "certs", "dev")
    assert made.returncode == 0, made.stderr
    script = f'{made.stdout}\ncat "$WINDLASS_TLS_CA" "$WINDLASS_LISTEN_CERT"'
    shown = subprocess.run(["/bin/sh", "-ec", script], capture_output=True, text=True, check=False)
    assert shown.stdout.count("BEGIN CERTIFICATE") == 2, shown.stderr
