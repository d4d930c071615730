"""`windlass dev` and the command line, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pytest

from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_TASKS: Final = """\
from windlass import Context, Windlass

app = Windlass()


@app.task
def shout(text: str) -> str:
    return text.upper() + "!"


@app.task
async def wait(ctx: Context) -> None:
    import asyncio

    await asyncio.Event().wait()
"""


_MORE_TASKS: Final = """

@app.task
def whisper(text: str) -> str:
    return text.lower()
"""


class Development:
    """`windlass dev` in a folder of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tasks.py").write_text(_TASKS)
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    @property
    def output(self) -> IO[str]:
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout

    def start(self, **environment: str) -> None:
        """Return when the worker has been given its first stream."""
        ports = ["--api-port", "0", "--dispatcher-port", "0", "--http-port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windlass.cli", "dev", *ports],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait_for("connected to the dispatcher")

    def wait_for(self, said: str) -> None:
        """Read on until a line says it."""
        for line in self.output:
            self.lines.append(line)
            if said in line:
                return
        raise AssertionError(f"ended without saying {said!r}:\n{''.join(self.lines)}")

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        self.lines.append(rest)
        return self.process.returncode

    def address(self, name: str) -> str:
        """Read one of the addresses that it greets with."""
        return next(line.split()[1] for line in reversed(self.lines) if line.split()[:1] == [name])

    def windlass(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command against it."""
        return subprocess.run(
            [sys.executable, "-m", "windlass.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "WINDLASS_API_ADDRESS": self.address("api")},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


def processes_of_session(text: str) -> list[str]:
    """List the command lines and environments of all processes that hold `text`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in told and folder.name != str(os.getpid()):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def development(tmp_path: Path) -> Iterator[Development]:
    """Give one that has not been started; whatever happens, it ends."""
    running = Development(tmp_path)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_stops_it_leaves_no_process_behind(development: Development, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and the terminal's end stop store, services and worker."""
    development.start()
    address = development.address("api")
    assert processes_of_session(address)
    assert development.stop(number) == 0
    assert "everything has stopped" in development.lines[-1]
    assert not processes_of_session(address)
    assert not processes_of_session(str(development.folder))


def test_runs_survive_a_restart(development: Development) -> None:
    """What ended is still listed, and what ran is run again."""
    development.start()
    done = development.windlass("run", "shout", "--input", '{"text": "hello"}')
    assert (done.returncode, json.loads(done.stdout)) == (0, "HELLO!")
    waiting = development.windlass("run", "wait", "--no-wait").stdout.strip()
    assert development.stop(signal.SIGINT) == 0
    development.start()
    listed = json.loads(development.windlass("runs", "list", "--json").stdout)
    assert {run["workflow_name"]: run["status"] for run in listed}["shout"] == "COMPLETED"
    assert development.windlass("runs", "cancel", waiting).returncode == 0
    shown = json.loads(development.windlass("runs", "get", waiting, "--json").stdout)
    assert shown["cancel_requested"]


def test_a_changed_file_is_what_runs_next(development: Development) -> None:
    """Also when it could not be imported in between: until then the former code goes on."""
    development.start()
    tasks = development.folder / "tasks.py"
    tasks.write_text("1 / 0\n")
    development.wait_for("ZeroDivisionError: division by zero (")
    assert "the former code goes on until the next change" in development.lines[-1]
    done = development.windlass("run", "shout", "--input", '{"text": "hello"}')
    assert json.loads(done.stdout) == "HELLO!"
    tasks.write_text(_TASKS.replace("!", "?"))
    development.wait_for("the new code is served")
    done = development.windlass("run", "shout", "--input", '{"text": "hello"}')
    assert json.loads(done.stdout) == "HELLO?"


def test_stream_stays_while_the_code_changes(development: Development) -> None:
    """A new task is told in a Hello of the same worker; what executes has its time to finish, and goes back."""
    development.start()
    (before,) = json.loads(development.windlass("workers", "list", "--json").stdout)
    waiting = development.windlass("run", "wait", "--no-wait").stdout.strip()
    tasks = development.folder / "tasks.py"
    tasks.write_text(_TASKS.replace("await asyncio.Event().wait()", "ctx.log('newer code')") + _MORE_TASKS)
    development.wait_for("connected to the dispatcher")
    done = development.windlass("run", "whisper", "--input", '{"text": "Hello"}')
    assert (done.returncode, done.stdout.strip()) == (0, '"hello"'), done.stderr
    development.wait_for("attempts in former code go back to their queue")
    until(lambda: "COMPLETED" in development.windlass("runs", "get", waiting, "--json").stdout, "the newer code ran")
    (after,) = json.loads(development.windlass("workers", "list", "--json").stdout)
    assert (after["id"], after["host"]) == (before["id"], before["host"])


def test_what_a_tool_keeps_in_a_hidden_folder_restarts_no_worker(development: Development) -> None:
    """A package installed below .cache is not the worker's code."""
    development.start()
    (development.folder / ".cache").mkdir()
    (development.folder / ".cache" / "tool.py").write_text("")
    (development.folder / "seen.py").write_text("")
    development.wait_for("seen.py")
    assert "changed, reading the code anew" in development.lines[-1]
    assert "tool.py" not in "".join(development.lines)
    assert " more" not in development.lines[-1]


def test_settings_for_another_engine_do_not_reach_its_worker(development: Development) -> None:
    """The shell's token and addresses are for another engine; clients there are warned."""
    other = development.folder / "other.token"
    other.write_text("wlt_of_another_engine")
    nowhere = "127.0.0.1:1"
    development.start(WINDLASS_API_ADDRESS=nowhere, WINDLASS_DISPATCHER_ADDRESS=nowhere, WINDLASS_TOKEN_FILE=other.name)
    (warning,) = [line for line in development.lines if line.startswith("warning: ")]
    assert "WINDLASS_API_ADDRESS, WINDLASS_DISPATCHER_ADDRESS, WINDLASS_TOKEN_FILE;" in warning


def test_two_on_one_data_folder_are_refused(development: Development) -> None:
    """The second would ruin the store of the first."""
    development.start()
    second = development.windlass("dev", "--api-port", "0", "--dispatcher-port", "0", "--http-port", "0")
    assert second.returncode == 2
    assert "--data-dir" in second.stderr


def test_exit_codes_tell_how_a_run_ended(development: Development) -> None:
    """The ones that docs/command-line.md promises."""
    development.start()
    assert development.windlass("run", "shout", "--input", '{"text": 3}').returncode == 5
    assert development.windlass("run", "no-such-task").returncode == 4
    assert development.windlass("run", "wait", "--timeout", "0.2").returncode == 7
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert development.windlass("runs", "get", unknown).returncode == 4
    assert development.windlass("runs", "get", "no-id").returncode == 2


def test_killing_it_leaves_no_process_behind(development: Development) -> None:
    """Neither the worker, nor services and store: the kernel tells them."""
    development.start()
    address = development.address("api")
    assert development.process is not None
    development.process.kill()
    development.process.communicate(timeout=30)  # the worker has its output too, and ends
    until(lambda: not processes_of_session(address), "the worker and the services have ended")
    until(lambda: not processes_of_session(str(development.folder)), "the store has ended")


@pytest.mark.parametrize("name", ["api", "dispatcher", "scheduler", "store"])
def test_a_service_that_dies_is_started_again(development: Development, name: str) -> None:
    """It says so, and what was queued meanwhile is run."""
    development.start()
    command = "valkey-server" if name == "store" else f"windlass_{name}"
    assert development.process is not None
    (pid,) = [child for child, line in children(development.process.pid) if command in line]
    os.kill(pid, signal.SIGKILL)
    development.wait_for(f"{name} ended (SIGKILL); starting it again in 0.5 s")
    development.wait_for(f"{name} is up again")
    done = development.windlass("run", "shout", "--input", '{"text": "hello"}', "--timeout", "40")
    assert (done.returncode, done.stdout.strip()) == (0, '"HELLO!"'), done.stderr
    assert development.stop(signal.SIGTERM) == 0


def children(parent: int) -> list[tuple[int, str]]:
    """List the children of a process, each with its command line."""
    tasks = Path(f"/proc/{parent}/task")
    pids = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [(pid, Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()) for pid in pids]
