"""Owns how a crew is named, for a process that has to import it, and how it is found there by its name."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from multiprocessing import spawn
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

from windlass.cli.app_reference import AppReference, load_app
from windlass.exceptions import InvalidConfig
from windlass.instrumentation import follow_environment
from windlass.parameters import where
from windlass.worker.processes.crew import Crew

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_finding = False
_MAIN: Final = "__main__"
#: What of multiprocessing's own preparation has a JSON form: how the program and its paths are found again.
_PREPARED: Final = ("sys_path", "sys_argv", "dir", "orig_dir", "init_main_from_name", "init_main_from_path")


@dataclass(frozen=True, slots=True)
class CrewName:
    """What a crew is called.

    Attributes:
        preparation: how the other process finds modules, and the program that is `__main__` here.
        app: "module:name" of the global that is the app; without a name the only one there.
        runnables: names of the tasks and workflows that are served; None: all.
        lifespan: "module:name"; "" where it is the app's, or there is none.
        capture_logs: see Surroundings.
        traced: as the environment asks for it.

    """

    preparation: dict[str, Any]
    app: str
    runnables: list[str] | None = None
    lifespan: str = ""
    capture_logs: bool = True
    traced: bool = False

    def to_json(self) -> bytes:
        """Write it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def find(self) -> Crew:
        """Import what is named. Raises whatever the user's modules raise, and InvalidConfig for what is missing."""
        global _finding  # noqa: PLW0603 - one per process
        _finding = True
        try:
            spawn.prepare(self.preparation)
            app = load_app(AppReference(*self.app.split(":")))
        finally:
            _finding = False
        if self.traced:
            follow_environment(app)
        if not app.tasks:
            raise InvalidConfig(f"{self.app} has no tasks: decorate a function with @app.task")
        names = list(app.tasks) if self.runnables is None else self.runnables
        if missing := sorted(set(names) - set(app.tasks)):
            raise InvalidConfig(f"{self.app} has no task {missing[0]!r} where it is imported by its name")
        lifespan = _get(self.lifespan) if self.lifespan else app.lifespan
        return Crew(app, {name: app.tasks[name] for name in names}, lifespan, self.capture_logs)


def name_of(crew: Crew) -> CrewName:
    """Name a crew. Raises InvalidConfig where it has no name by which another process could find it."""
    app = _global_name(crew.app)
    if not app:
        raise InvalidConfig(
            "the child processes of this worker have to import its app by name, and it is no global of a module: "
            "write `app = Windlass()` at the top of one, or call worker.start() on the main thread before this "
            "process has sent anything to the engine"
        )
    strangers = [each for name, each in crew.runnables.items() if crew.app.tasks.get(name) is not each]
    if strangers:
        raise InvalidConfig(f"{strangers[0]!r} is no task of {app}, which the worker's child processes import")
    lifespan = "" if crew.lifespan is crew.app.lifespan or crew.lifespan is None else _function_name(crew.lifespan)
    modules = {app.partition(":")[0], lifespan.partition(":")[0]}
    preparation = {key: value for key, value in spawn.get_preparation_data("").items() if key in _PREPARED}
    if _MAIN not in modules:
        preparation = {key: value for key, value in preparation.items() if not key.startswith("init_main")}
    return CrewName(preparation, app, list(crew.runnables), lifespan, crew.capture_logs)


def has_module(crew: Crew) -> bool:
    """Whether another process could find it without running this program once more."""
    try:
        name = name_of(crew)
    except InvalidConfig:
        return False
    return not any(key.startswith("init_main") for key in name.preparation)


def check_not_imported() -> None:
    """Refuse to start a worker while a worker's nursery imports the program. Raises InvalidConfig."""
    if _finding:
        raise InvalidConfig(
            "a process for a worker's tasks imports this module, which starts a worker: put that under "
            '`if __name__ == "__main__":`'
        )


def _global_name(value: Any) -> str:
    names = [
        f"{module}:{name}"
        for module, loaded in list(sys.modules.items())
        for name, found in list(getattr(loaded, "__dict__", {}).items())
        if found is value
    ]
    # A module of its own, rather than the program that has imported it.
    return min(names, key=lambda name: (name.startswith((_MAIN, "__mp_main__")), name), default="")


def _function_name(function: Callable[[], AsyncIterator[Any]]) -> str:
    name = f"{function.__module__}:{function.__qualname__}"
    try:
        found = _get(name)
    except (ImportError, AttributeError):
        found = None
    if found is not function:
        raise InvalidConfig(
            f"the lifespan at {where(function)} is no global of its module: child processes can't import it"
        )
    return name


def _get(name: str) -> Any:
    module, _, path = name.partition(":")
    return attrgetter(path)(import_module(module))
