"""The commands that look at a running engine: what they say to programs, and on a terminal."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import HIDE_CURSOR, SHOW_CURSOR, Terminal, clean, windlass
from tests.support.worker_thread import running_worker
from windlass import Context, TaskRunError, Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


@dataclass
class Site:
    """An engine with a worker, a folder to type commands in, and a task that waits at gates."""

    app: Windlass
    folder: Path
    environment: dict[str, str]
    gates: dict[str, threading.Event] = field(default_factory=dict)

    def gate(self, name: str) -> threading.Event:
        """Give the gate of a name."""
        return self.gates.setdefault(name, threading.Event())

    def windlass(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type a command where there is no terminal."""
        return windlass(self.folder, *arguments, **self.environment)

    def terminal(self, *arguments: str, columns: int = 80, **environment: str) -> Terminal:
        """Type a command on a terminal."""
        return Terminal(self.folder, *arguments, columns=columns, **self.environment, **environment)

    def submit(self, gate: str, *, fail: bool = False) -> str:
        """Submit a run that waits at a gate, and give its id."""
        return self.app.enqueue("pass_gate", {"gate": gate, "fail": fail}, additional_metadata={"gate": gate}).id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one for all of these tests."""
    with start_engine() as engine, Windlass(config=engine.config) as app:
        made = Site(app, tmp_path_factory.mktemp("site"), {"WINDLASS_API_ADDRESS": engine.api_address})

        @app.task
        def pass_gate(ctx: Context, gate: str, fail: bool = False) -> str:
            """Wait at a gate."""
            ctx.log(f"at {gate}")
            ctx.progress(3, 40, "wait\x1b[2Jing")
            assert made.gate(gate).wait(60)
            ctx.log("\x1b[2Jthrough\nand on", level="ERROR")
            ctx.put_stream("\x1b[2Jtext\n")
            ctx.put_stream(b"bytes\n")
            if fail:
                raise ValueError("not\nlike this")
            return gate

        with running_worker(app):
            yield made


def test_a_run_s_input_comes_from_the_line_a_file_or_stdin(site: Site) -> None:
    """And its output goes to stdout, as JSON; with --json the id too."""
    site.gate("open").set()
    given = '{"gate": "open"}'
    (site.folder / "in.json").write_text(given)
    for argument in (given, "@in.json"):
        done = site.windlass("run", "pass_gate", "--input", argument, "--timeout", "30s", "--priority", "high")
        assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, "open", "")
    done = subprocess.run(
        [sys.executable, "-m", "windlass.cli", "run", "pass_gate", "--input", "-", "--json"],
        cwd=site.folder, env=clean(site.environment), input=given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["output"] == "open"
    assert json.loads(site.windlass("runs", "get", told["id"], "--json").stdout)["status"] == "COMPLETED"


def test_watch_tells_programs_each_event(site: Site) -> None:
    """How the runs stand at first, how they go on, a summary; the exit code tells of the failure."""
    runs = [site.submit("json", fail=fail) for fail in (False, True)]
    watching = subprocess.Popen(
        [sys.executable, "-m", "windlass.cli", "runs", "watch", *runs, "--json"],
        cwd=site.folder, env=clean(site.environment), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    events = [json.loads(watching.stdout.readline()) for _ in runs]
    assert {event["id"] for event in events} == set(runs)
    site.gate("json").set()
    events += map(json.loads, watching.stdout)
    assert watching.wait(30) == 5
    *_, summary = events
    last = {event["id"]: event for event in events[:-1]}
    assert [last[run]["status"] for run in runs] == ["COMPLETED", "FAILED"]
    assert last[runs[0]]["progress"] == {"done": 3.0, "total": 40.0, "message": "wait\x1b[2Jing"}
    assert last[runs[1]]["error"] == {"type": "ValueError", "error": "not\nlike this", "attempt": 1}
    assert (summary["event"], summary["total"], summary["completed"], summary["failed"]) == ("summary", 2, 1, 1)
    watching.stdout.close()


def test_watch_without_a_terminal_prints_lines(site: Site) -> None:
    """One for each end, chosen by filters; CANCELLED has an exit code of its own."""
    run = site.submit("lines")
    assert site.app.runs.cancel(run, "enough")
    site.gate("lines").set()
    done = site.windlass("runs", "watch", "--metadata", "gate=lines")
    assert done.returncode == 6, done.stderr
    first, told, summary = done.stdout.splitlines()
    assert first == "watching 1 runs"
    assert run in told
    assert "1/1 CANCELLED" in told
    assert summary.startswith("0 completed, 0 failed, 1 cancelled, 0 running, 0 queued")
    assert site.windlass("runs", "watch", "--workflow", "nobody").returncode == 0


def test_watch_gives_up_after_its_timeout(site: Site) -> None:
    """The runs go on, and the exit code says that they do."""
    run = site.submit("never")
    done = site.windlass("runs", "watch", run, "--timeout", "200ms")
    assert (done.returncode, done.stderr.count("\n")) == (7, 1)
    assert "1 of 1 runs have not ended" in done.stderr
    site.gate("never").set()


@pytest.mark.parametrize("columns", [38, 100])
def test_watch_on_a_terminal_draws_a_bar(site: Site, columns: int) -> None:
    """It fits into narrow ones, keeps the failures above it, and gives the cursor back."""
    gate = f"bar-{columns}"
    runs = [site.submit(gate, fail=number == 0) for number in range(3)]
    with site.terminal("runs", "watch", *runs, columns=columns) as terminal:
        terminal.wait_for("0/3")
        terminal.wait_for("3 running")
        terminal.wait_for("3 of 40")
        site.gate(gate).set()
        terminal.wait_for("3/3 100%")
        assert terminal.end() == 5
    assert "━" in terminal.text
    assert f"FAILED {runs[0]} pass_gate" in terminal.text
    assert "ValueError: not like this" in terminal.text
    assert terminal.output.rfind(SHOW_CURSOR) > terminal.output.rfind(HIDE_CURSOR)


def test_ctrl_c_stops_watching_and_not_the_runs(site: Site) -> None:
    """Exit code 130, one line, and the cursor is there again."""
    run = site.submit("interrupted")
    with site.terminal("runs", "watch", run, NO_COLOR="1") as terminal:
        terminal.wait_for("1 running")
        terminal.press("\x03")
        assert terminal.end() == 130
    assert "stopped watching: 1 runs go on" in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.output.rfind(SHOW_CURSOR) > terminal.output.rfind(HIDE_CURSOR)
    assert "\x1b[3" not in terminal.output  # no colour
    site.gate("interrupted").set()
    assert site.app.runs.get_result(run, timeout=30) == "interrupted"


def test_logs_are_followed_to_the_end(site: Site) -> None:
    """On a terminal a task's own escape sequences are not obeyed."""
    run = site.submit("logs")
    with site.terminal("runs", "logs", "-f", run) as terminal:
        terminal.wait_for("at logs")
        site.gate("logs").set()
        assert terminal.end() == 0
    assert "ERROR    [2Jthrough\r\n    and on" in terminal.text
    assert "\x1b[2J" not in terminal.output
    told = site.windlass("runs", "logs", run, "--level", "warning", "--json")
    (line,) = map(json.loads, told.stdout.splitlines())
    assert (line["offset"], line["level"], line["message"]) == (1, "ERROR", "\x1b[2Jthrough\nand on")
    assert site.windlass("runs", "logs", UNKNOWN).returncode == 4


def test_a_stream_is_passed_on_to_the_end(site: Site) -> None:
    """Every byte of it; on a terminal what a task says is not obeyed."""
    run = site.submit("stream")
    with site.terminal("runs", "stream", run) as terminal:
        site.gate("stream").set()
        assert terminal.end() == 0
    assert "[2Jtext\r\nbytes\r\n" in terminal.text
    assert "\x1b[2J" not in terminal.output
    assert site.windlass("runs", "stream", run).stdout == "\x1b[2Jtext\nbytes\n"
    told = site.windlass("runs", "stream", run, "--json", "--offset", "1").stdout
    assert json.loads(told) == {"offset": 1, "attempt": 1, "base64": "Ynl0ZXMK"}
    assert site.windlass("runs", "stream", UNKNOWN).returncode == 4


def test_a_reader_that_leaves_is_not_complained_about(site: Site) -> None:
    """`windlass runs list | head -1`."""
    for _ in range(3):
        site.submit("open")
    site.gate("open").set()
    command = f"{shlex.quote(sys.executable)} -m windlass.cli"
    ended = subprocess.run(
        ["/bin/bash", "-c", f"{command} runs list | true; {command} runs watch --workflow pass_gate | true"],
        cwd=site.folder, env=clean(site.environment), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.stderr == ""


def test_one_worker_and_one_workflow_are_shown(site: Site) -> None:
    """By what the lists call them."""
    (worker,) = json.loads(site.windlass("workers", "list", "--json").stdout)
    assert "test" in site.windlass("workers", "get", worker["id"]).stdout
    assert site.windlass("workers", "get", "0" * 32).returncode == 4
    assert site.windlass("workers", "pause", worker["id"]).returncode == 0
    assert json.loads(site.windlass("workers", "get", worker["id"], "--json").stdout)["status"] == "PAUSED"
    assert site.windlass("workers", "unpause", worker["id"]).returncode == 0
    assert json.loads(site.windlass("workers", "get", worker["id"], "--json").stdout)["status"] == "ACTIVE"
    assert site.windlass("workers", "pause", "0" * 32).returncode == 4
    assert json.loads(site.windlass("workflows", "get", "pass_gate", "--json").stdout)["workers"] == 1
    assert site.windlass("workflows", "get", "nobody").returncode == 4


def test_workflows_and_queues_are_paused_and_unpaused(site: Site) -> None:
    """The lists say so; an unknown workflow has the exit code of what is not there."""
    for kind, name in (("workflows", "pass_gate"), ("queues", "bulk")):
        assert site.windlass(kind, "pause", name).stdout == f"paused: {name}\n"
        assert f"{name} " in (listed := site.windlass(kind, "list").stdout)
        assert "paused" in listed
        assert site.windlass(kind, "unpause", name).stdout == f"going on: {name}\n"
        listed = site.windlass(kind, "list", "--json").stdout
        assert not [each for each in json.loads(listed) if each["paused"]]
    assert site.windlass("workflows", "pause", "nobody").returncode == 4
    assert site.windlass("queues", "pause", "no such name").returncode == 2


def test_rate_limits_are_put_listed_and_deleted(site: Site) -> None:
    """What is not there has its own exit code, after the others have been deleted."""
    assert site.windlass("rate-limits", "put", "mail", "100", "1m").stdout == "put: mail, 100 per 1m\n"
    assert "0 of 100" in site.windlass("rate-limits", "list").stdout
    (limit,) = json.loads(site.windlass("rate-limits", "list", "--json").stdout)
    assert (limit["key"], limit["limit"], limit["used"]) == ("mail", 100, 0)
    assert site.windlass("rate-limits", "put", "mail", "0").returncode == 2
    assert site.windlass("rate-limits", "put", "mail", "1", "1ms").returncode == 2
    deleted = site.windlass("rate-limits", "delete", "nobody", "mail")
    assert (deleted.returncode, deleted.stdout) == (4, "deleted: mail\n")
    assert site.windlass("rate-limits", "list").stdout.startswith("no rate limits")


@pytest.mark.parametrize(
    ("shell", "typed", "offered"),
    [
        ("bash", ["windlass", "runs", "wa"], "watch"),
        ("bash", ["windlass", "run", "pass"], "pass_gate"),
        ("zsh", ["windlass", "run", "pass"], "pass_gate"),
        ("bash", ["windlass", "workflows", "pause", "pass"], "pass_gate"),
        ("fish", ["windlass", "runs", "logs", "--fol"], "--follow"),
    ],
)
def test_shells_are_offered_commands_options_and_names(site: Site, shell: str, typed: list[str], offered: str) -> None:
    """By the protocol that each shell's script speaks; names come from the engine."""
    asked = {
        "_WINDLASS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
        "_TYPER_COMPLETE_ARGS": " ".join(typed),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    ended = windlass(site.folder, **site.environment, **asked)
    assert offered in ended.stdout
    assert ended.stderr == ""


def test_bash_completes_with_the_script_that_is_shown(site: Site) -> None:
    """In a real bash, which sources it."""
    program = (
        "source <(windlass --show-completion)\n"
        "COMP_WORDS=(windlass runs l); COMP_CWORD=2\n"
        '_windlass_completion windlass; echo "${COMPREPLY[@]}"\n'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin"
    ended = subprocess.run(
        ["/bin/bash", "-c", program], cwd=site.folder, env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["list", "logs"]


def _fail(site: Site, gate: str, count: int = 1) -> list[str]:
    """Runs that have failed at an open gate."""
    site.gate(gate).set()
    runs = [site.submit(gate, fail=True) for _ in range(count)]
    for run in runs:
        with pytest.raises(TaskRunError):
            site.app.runs.get_result(run, timeout=30)
    return runs


def test_runs_are_cancelled_in_bulk(site: Site) -> None:
    """By ids, each with its outcome, or by options, which are counted."""
    later = site.app.enqueue("pass_gate", {"gate": "bulk"}, delay="1h", additional_metadata={"gate": "bulk"}).id
    done = site.windlass("runs", "cancel", later, UNKNOWN, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (4, {later: "cancelled", UNKNOWN: "unknown_run"})
    assert UNKNOWN in done.stderr
    for _ in range(3):
        site.app.enqueue("pass_gate", {"gate": "bulk"}, delay="1h", additional_metadata={"gate": "bulk"})
    done = site.windlass("runs", "cancel", "--workflow", "pass_gate", "--status", "queued", "--metadata", "gate=bulk")
    assert (done.returncode, done.stdout) == (0, "3 cancelled\n")
    assert site.windlass("runs", "cancel", "--metadata", "gate=bulk").stdout == "no runs\n"


def test_runs_are_replayed(site: Site) -> None:
    """Those that failed in the last hour, or one by its id; what is told of them says so."""
    (run,) = _fail(site, "replay")
    done = site.windlass("runs", "replay", "--failed", "--since", "1h", "--metadata", "gate=replay")
    assert (done.returncode, done.stdout) == (0, "1 replayed\n")
    with pytest.raises(TaskRunError):
        site.app.runs.get_result(run, timeout=30)
    shown = site.windlass("runs", "get", run).stdout
    assert "attempt 1 failed: ValueError" in shown
    assert "attempt 1 of replay 1 failed: ValueError" in shown
    assert json.loads(site.windlass("runs", "replay", run, "--json").stdout) == {run: "replayed"}


def test_the_dead_letter_is_listed_retried_and_emptied(site: Site) -> None:
    """By the types of the errors, by ids, and all of it."""
    first, second = _fail(site, "dead", 2)
    chosen = ("--metadata", "gate=dead", "--error-type", "ValueError")
    listed = json.loads(site.windlass("dead-letter", "list", *chosen, "--json").stdout)
    assert [run["id"] for run in listed] == [second, first]
    assert listed[0]["errors"][0]["type"] == "ValueError"
    assert "ValueError: not" in site.windlass("dead-letter", "list", *chosen).stdout
    assert site.windlass("dead-letter", "retry", first).stdout.split()[-1] == "replayed"
    with pytest.raises(TaskRunError):
        site.app.runs.get_result(first, timeout=30)
    assert (
        site.windlass("dead-letter", "retry", "--metadata", "gate=dead", "--error-type", "Other").stdout == "no runs\n"
    )
    assert site.windlass("dead-letter", "delete", *chosen).stdout == "2 deleted\n"
    assert site.windlass("runs", "get", first).returncode == 4
