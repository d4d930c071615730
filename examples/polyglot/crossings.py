"""Owns what has to work between the languages. Each crossing raises Unmet, or says what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

from examples.polyglot.languages import Client, ProgramClient, PythonClient, Unmet, Worker, until
from windlass import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from windlass import Windlass
    from windlass.testing import Engine

LANGUAGES: Final = ("python", "go", "typescript")
_NAME: Final = "Zoë 🦉"


@dataclass
class Stage:
    """An engine, clients of three languages, and a worker of each."""

    engine: Engine
    app: Windlass
    environment: Mapping[str, str]
    folder: Path
    stack: ExitStack
    workers: dict[str, Worker] = field(default_factory=dict)
    _gates: int = 0

    def __post_init__(self) -> None:
        """Make the clients."""
        self.clients: dict[str, Client] = {
            "python": PythonClient(self.app),
            "go": ProgramClient("go", self.environment),
            "typescript": ProgramClient("typescript", self.environment),
        }

    def start_workers(self, *languages: str) -> None:
        """Start a worker of each of these, in place of what ran before."""
        for language in languages:
            log = self.folder / f"{language}.log"
            self.workers[language] = self.stack.enter_context(Worker(language, self.app, self.environment, log))

    def hook_of(self, run_id: str) -> str:
        """Give the run of the hook that follows a run."""
        until(lambda: self.app.runs.get(run_id).hook_run_id is not None, "a hook follows the run")
        return str(self.app.runs.get(run_id).hook_run_id)

    def gate(self) -> Gate:
        """Make a pair of files by which a task that holds says that it has begun, and is told to end."""
        self._gates += 1
        return Gate(self.folder / f"begun-{self._gates}", self.folder / f"release-{self._gates}")


@dataclass(frozen=True)
class Gate:
    """See Stage.gate."""

    begun: Path
    release: Path

    @property
    def input(self) -> dict[str, str]:
        """What such a task takes."""
        return {"begun": str(self.begun), "release": str(self.release)}

    def await_begun(self, language: str) -> None:
        """Wait until an attempt executes in this language."""
        until(self.begun.with_name(f"{self.begun.name}.{language}").exists, f"an attempt begins in {language}")

    def open(self) -> None:
        """Let the task end."""
        self.release.touch()


def expect(seen: Any, wanted: Any, what: str) -> None:
    """Raise Unmet unless they are equal."""
    if seen != wanted:
        raise Unmet(f"{what}: expected {wanted!r}, got {seen!r}")


def calls(stage: Stage) -> str:
    """Submit in one language, execute in another: input, output and log lines, beyond ASCII too."""
    for caller, callee in permutations(LANGUAGES, 2):
        output = stage.clients[caller].run(f"{callee}.greet", {"name": _NAME})
        wanted = {"language": callee, "greeting": f"Hello, {_NAME}!", "length": len(_NAME)}
        expect(output, wanted, f"{caller} calls {callee}")
    for language in LANGUAGES:
        run_id = stage.clients["python"].list(f"{language}.greet")[0][0]
        lines = [line.message for line in stage.app.logs.list(run_id)]
        expect(lines, [f"greeting {_NAME}"], f"log of the {language} task")
    return "6 pairs of languages; log lines too"


def failures(stage: Stage) -> str:
    """A task's error has its type, its message and its attempts wherever it is caught."""
    for caller, callee in permutations(LANGUAGES, 2):
        error = stage.clients[caller].run(f"{callee}.fail", {"item": "bread"})
        wanted = {"error": "RunFailed", "type": "OutOfStock", "message": "no bread left", "attempt": 2}
        expect(error, wanted, f"{caller} calls {callee}")
    return "6 pairs: OutOfStock, no bread left, after 2 attempts"


def refusals(stage: Stage) -> str:
    """What the engine refuses is a typed error of the language, read from the status detail."""
    for language in ("go", "typescript"):
        error = stage.clients[language].submit("nobody.has.it", {})
        seen = (error["error"], error["type"], error["field"])
        expect(seen, ("Error", "ERROR_REASON_UNKNOWN_WORKFLOW", "runs[0].spec.workflow_name"), language)
        error = stage.clients[language].wait("not-an-id")
        expect((error["error"], error["type"]), ("Error", "ERROR_REASON_INVALID_FIELD"), language)
    return "unknown workflow, wrong id: reason and field"


def lists(stage: Stage) -> str:
    """All see the same runs in the same order, over several pages."""
    for language in LANGUAGES:
        seen = {name: client.list(f"{language}.greet") for name, client in stage.clients.items()}
        expect(seen["go"], seen["python"], f"go lists {language}.greet")
        expect(seen["typescript"], seen["python"], f"typescript lists {language}.greet")
    return "the same ids and statuses from three clients"


def cancels(stage: Stage) -> str:
    """A run that executes in one language is cancelled from another, and its task ends."""
    for caller, callee in permutations(LANGUAGES, 2):
        gate, client = stage.gate(), stage.clients[caller]
        run_id = client.submit(f"{callee}.hold", gate.input)
        gate.await_begun(callee)
        client.cancel(run_id)
        names = {"python": "Python", "go": "Go", "typescript": "TypeScript"}
        wanted = {"error": "RunCancelled", "message": f"cancelled from {names[caller]}"}
        expect(client.wait(run_id), wanted, f"{caller} cancels in {callee}")
    until(lambda: all(worker.slots_used == 0 for worker in stage.app.workers.list()), "all slots are free again")
    return "6 pairs; all slots are free again"


def time_limits(stage: Stage) -> str:
    """A task asks for more time, is told when that is nearly over, and may tidy up; what it says meanwhile is seen."""
    client = stage.clients["python"]
    runs = {language: client.submit(f"{language}.tidy", {}) for language in LANGUAGES}
    for language, run_id in runs.items():
        expect(client.wait(run_id), {"language": language}, f"{language} was told in time")
        progress = stage.app.runs.get(run_id).progress
        expect(progress, Progress(2, 2, "tidied up"), f"progress of the {language} task")
        streamed = [chunk.data for chunk in stage.app.runs.subscribe_to_stream(run_id)]
        expect(streamed, ["tidied up"], f"stream of the {language} task")
    return "3 workers: soft timeout, more time, progress, stream"


def hooks(stage: Stage) -> str:
    """A workflow's hook follows its run's end, in any language, and knows what came of it."""
    for caller, callee in zip(LANGUAGES, (*LANGUAGES[1:], LANGUAGES[0]), strict=True):
        client, name = stage.clients[caller], f"{callee}.order"
        sold, failed = client.submit(name, {"item": "milk"}), client.submit(name, {"item": "bread"})
        expect(client.wait(sold), {"work": "milk"}, f"{caller} calls {name}")
        expect(client.wait(failed)["message"], "no bread left", f"{caller} calls {name}")
        told: dict[str, dict[str, str]] = {sold: {"output": "milk"}, failed: {"error": "no bread left"}}
        for run_id, what in told.items():
            output = client.wait(stage.hook_of(run_id))
            expect(output, {"language": callee, "follows": run_id, **what}, f"a hook of {name}")
    return "3 pairs: on_success with the output, on_failure with the failure"


def dispatcher_killed(stage: Stage) -> str:
    """Workers go on while there is no dispatcher, and what they held is finished once, by them."""
    gates = {language: stage.gate() for language in LANGUAGES}
    runs = {language: stage.clients["python"].submit(f"{language}.hold", gates[language].input) for language in gates}
    for language, gate in gates.items():
        gate.await_begun(language)
    (dispatcher,) = stage.engine.cluster.processes("dispatcher")  # type: ignore[attr-defined]  # the engine's own has it
    dispatcher.kill()
    for language in ("go", "python"):
        gates[language].open()  # ends while there is nobody to tell
    dispatcher.restart()
    gates["typescript"].open()
    for language, run_id in runs.items():
        output = stage.clients["python"].wait(run_id)
        expect(output, {"language": language, "attempt": 1}, f"{language} after the kill")
    return "kill -9 of the dispatcher: 3 held runs ended, each in its first attempt"


def workers_killed(stage: Stage) -> str:
    """A run whose worker is killed goes on in another language, and once more."""
    for worker in stage.workers.values():
        worker.kill()
    until(lambda: not stage.app.workers.list(), "the sessions of the killed workers expire")
    gate, client = stage.gate(), stage.clients["typescript"]
    stage.start_workers("go")
    run_id = client.submit("any.hold", gate.input)
    for language, successor in (("go", "typescript"), ("typescript", "python")):
        gate.await_begun(language)
        stage.start_workers(successor)
        stage.workers[language].kill()
    gate.await_begun("python")
    gate.open()
    expect(client.wait(run_id)["language"], "python", "who has ended it")
    expect([error.type for error in stage.app.runs.get(run_id).errors], ["Crashed", "Crashed"], "what is told of it")
    stage.start_workers("go", "typescript")
    return "kill -9 in Go, then in TypeScript: ended in Python, with both crashes in its history"


def drains(stage: Stage) -> str:
    """SIGTERM: what executes is finished, nothing new is taken, the process ends with 0."""
    for language in LANGUAGES:
        gate, client = stage.gate(), stage.clients["go"]
        held = client.submit(f"{language}.hold", gate.input)
        gate.await_begun(language)
        stage.workers[language].ask_to_stop()
        until(lambda: any(each.status == "DRAINING" for each in stage.app.workers.list()), "it is draining")
        queued = client.submit(f"{language}.greet", {"name": "later"})
        gate.open()
        expect(client.wait(held), {"language": language, "attempt": 1}, f"{language} drains")
        expect(stage.workers[language].wait(), 0, f"exit code of the {language} worker")
        expect(dict(client.list(f"{language}.greet"))[queued], "RUN_STATUS_QUEUED", "the run that came later")
        stage.start_workers(language)
        expect(client.wait(queued)["greeting"], "Hello, later!", "the run that came later")
    return "3 workers: held run finished, later one left to the next, exit code 0"


CROSSINGS: Final[tuple[Callable[[Stage], str], ...]] = (
    calls,
    failures,
    refusals,
    lists,
    cancels,
    time_limits,
    hooks,
    dispatcher_killed,
    workers_killed,
    drains,
)


def play(stage: Stage) -> Iterator[tuple[str, str, str, bool]]:
    """Play all; yields name, rule, what was seen, and whether it was as it has to be."""
    stage.start_workers(*LANGUAGES)
    for crossing in CROSSINGS:
        name = crossing.__name__.replace("_", " ")
        rule = (crossing.__doc__ or "").partition("\n")[0]
        try:
            yield name, rule, crossing(stage), True
        except Unmet as error:
            yield name, rule, str(error), False
            return
