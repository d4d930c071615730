"""`make compose-test`: the stack of deploy/compose.yaml, built, scaled, hurt and taken down with real Docker.

A job is asked for from outside all the while; one container of each kind is killed under it. Exits with
0 when all held, 1 when something did not, and 77 where there is no Docker to test with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tests.compose.image import check_image
from tests.compose.stack import ROOT, Stack, why_no_docker
from tests.support.history import (
    History,
    Indexes,
    StoredEnd,
    acknowledged_runs_end,
    indexes_match,
    nothing_comes_unasked,
    nothing_is_held,
    runs_end_once,
)
from tests.support.until import until
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compose.job import Job
    from tests.compose.stack import Container

EXIT_SKIPPED: Final = 77
SCALE: Final = {"dispatcher": 2, "scheduler": 2, "api": 2, "worker": 2}
#: In this order, under load; the store last.
KILLED: Final = ("worker", "dispatcher", "scheduler", "api", "valkey")
#: Of what can be told without a journal of the executions.
RULES: Final = (acknowledged_runs_end, nothing_comes_unasked, runs_end_once, indexes_match, nothing_is_held)
_ANSWERS: Final = 100
_SECONDS: Final = 120.0


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, flush=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Tell how long it took."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


def main() -> int:
    """Go through all of it; return the exit code."""
    if reason := why_no_docker():
        say(f"compose-test: skipped, {reason}")
        return EXIT_SKIPPED
    stack = Stack(f"windlass-test-{os.getpid()}")
    try:
        with timed("built"):
            stack.build()
        check_image(stack, say)
        with timed(f"up and healthy, with {', '.join(f'{n} {name}s' for name, n in SCALE.items())}"):
            stack.up(SCALE)
        with TemporaryDirectory() as folder:
            os.environ["WINDLASS_API_ADDRESS"] = stack.api_address
            check_doors(stack, Path(folder))
            os.environ["WINDLASS_TOKEN_FILE"] = str(stack.token("client", Path(folder)))
            run_as_documented()
            history = hurt(stack)
        check_stop(stack)
    except BaseException:
        say(stack.logs())
        raise
    finally:
        with timed("taken down"):
            stack.down()
    broken = [f"{rule.__name__}: {about}" for rule in RULES for about in rule(history)]
    broken += [f"left behind: {each}" for each in stack.left()]
    for each in broken:
        say(f"BROKEN {each}")
    say("compose-test: all held" if not broken else f"compose-test: {len(broken)} things did not hold")
    return 1 if broken else 0


def check_doors(stack: Stack, folder: Path) -> None:
    """Nobody submits without a token, nor with the worker's."""
    from windlass import ClientConfig, Unauthorized, Windlass

    for token_file in (None, stack.token("worker", folder)):
        config = ClientConfig(api_address=stack.api_address, token_file=token_file)
        with Windlass(config=config) as app:
            try:
                app.enqueue("count-words", {"text": ""})
            except Unauthorized as error:
                say(f"refused: {error}")
            else:
                raise AssertionError("a submit was taken from somebody who may not")


def run_as_documented() -> None:
    """The example, by the command that the pages give."""
    pages = sorted(str(page) for page in (ROOT / "docs").glob("*.md"))
    command = [sys.executable, "-m", "examples.word_count", *pages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    say(f"the example, from outside: {done.stdout.splitlines()[0]}")


def hurt(stack: Stack) -> History:
    """Kill and scale while a job goes on; return what was seen of it."""
    from tests.compose.job import Job

    with Job() as job:
        for service in KILLED:
            kill_one(stack, job, service)
        check_replicas_come_and_go(stack, job)
        job.finish()
        say(f"the job: {len(job.acknowledged):,} runs acknowledged, {len(job.answered):,} answered")
        assert not job.wrong, "\n".join(job.wrong)
        assert job.acknowledged == job.answered
        found: dict[str, Any] = {}

        def is_quiet() -> bool:
            found.update(json.loads(stack.run("scheduler", "tests.compose.store_reading")))
            return not found["indexes"]["busy"]

        until(is_quiet, "nothing is under way in the store", _SECONDS)
        known = {run["run_id"] for run in found["runs"]}
        documented = known - job.submitted  # by run_as_documented
        return History(
            submitted=frozenset(job.submitted | documented),
            acknowledged=frozenset(job.acknowledged | documented),
            told={},
            executions=(),
            runs={run["run_id"]: StoredEnd(**{**run, "phase": Phase(run["phase"])}) for run in found["runs"]},
            indexes=Indexes(**found["indexes"]),
        )


def kill_one(stack: Stack, job: Job, service: str) -> None:
    """Kill a container of this kind; return when Docker has it healthy again and answers have come since."""
    until_answered(job)
    victim = owning_scheduler(stack) if service == "scheduler" else stack.containers(service)[0]
    others = {each.name: each.started_at for each in stack.containers() if each.id != victim.id}
    began = time.monotonic()
    stack.kill(victim)
    stack.wait_restarted(victim)
    healthy = time.monotonic() - began
    until_answered(job)
    lived = {each.name: each.started_at for each in stack.containers() if each.id != victim.id}
    assert lived == others, f"others than {victim.name} were started again: {lived} instead of {others}"
    say(
        f"killed {victim.name}: healthy again after {healthy:.1f} s; "
        f"the job waited {job.longest_silence(began):.1f} s for an answer at the most"
    )


def until_answered(job: Job) -> None:
    """Wait for answers that were not there yet."""
    goal = len(job.answered) + _ANSWERS
    until(lambda: len(job.answered) >= goal, f"{_ANSWERS} more answers", _SECONDS)


def owning_scheduler(stack: Stack) -> Container:
    """The scheduler that decides."""

    def owners() -> list[Container]:
        return [
            each for each in stack.containers("scheduler") if json.loads(readiness(stack, each))["shard"] == "owned"
        ]

    until(lambda: len(owners()) == 1, "one scheduler owns the shard", _SECONDS)
    return owners()[0]


def readiness(stack: Stack, container: Container) -> str:
    """What a service says of itself, by the same way as its health check asks."""
    check = container.details["Config"]["Healthcheck"]["Test"]
    return stack.execute(container, *check[1:])


def check_replicas_come_and_go(stack: Stack, job: Job) -> None:
    """A client within the network notices a new api, and misses nothing when one goes."""
    client = stack.start("worker", "tests.compose.inside_client")
    assert client.stdin is not None
    assert client.stdout is not None
    addresses = set(json.loads(client.stdout.readline()))
    began = time.monotonic()
    stack.up({**SCALE, "api": 3})
    newest = stack.container("api", 3)
    until(lambda: bool(addresses & callers_of(stack, newest)), "a new api is found by a client", _SECONDS)
    say(f"a third api: started, healthy and found by a client within {time.monotonic() - began:.1f} s")
    stack.up(SCALE)
    until_answered(job)
    client.stdin.close()
    told = json.loads(client.stdout.readline())
    client.wait(_SECONDS)
    say(f"the third api gone again: of {told['calls']} calls by that client {len(told['failures'])} failed")
    assert not told["failures"], told["failures"]


def callers_of(stack: Stack, api: Container) -> set[str]:
    """The addresses from which an api has connections."""
    program = (
        "import pathlib, socket, struct\n"
        "for line in pathlib.Path('/proc/net/tcp6').read_text().splitlines()[1:]:\n"
        "    _, local, remote, state = line.split()[:4]\n"
        "    if state == '01' and local.endswith(':1B9E'):\n"  # port 7070
        "        print(socket.inet_ntoa(struct.pack('<I', int(remote[24:32], 16))))\n"
    )
    return set(stack.execute(api, "python", "-IS", "-c", program).split())


def check_stop(stack: Stack) -> None:
    """Told to stop, everything ends by itself, in time and with 0."""
    with timed("stopped"):
        stack.compose("stop")
    codes = {each.name: each.exit_code for each in stack.containers() if each.service != "tokens"}
    say(f"exit codes: {codes}")
    assert not any(codes.values()), codes


if __name__ == "__main__":
    sys.exit(main())
