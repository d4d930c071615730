"""Owns `windlass worker`: which app a worker process serves, and with what options."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from windlass.cli.app_reference import AppReference, load_app, require_reference
from windlass.cli.parent import end_with_parent
from windlass.exceptions import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long a worker whose parent is gone may take to leave once its grace is over.
_LEAVE_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProcess:
    """What `windlass worker` was asked for."""

    reference: AppReference
    reload: bool
    slots: int
    pools: Sequence[str]
    labels: Sequence[str]
    queues: str
    name: str
    grace: float | None
    processes: int | None
    max_tasks_per_child: int | None
    max_memory_per_child: str | None

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        if self.reload:
            self._run_reloading()
        else:
            self._run_here()

    def _run_here(self) -> None:
        from windlass.instrumentation import follow_environment
        from windlass.worker.worker import DRAIN_GRACE, Worker

        grace = DRAIN_GRACE if self.grace is None else self.grace
        end_with_parent(grace + _LEAVE_SECONDS)
        app = load_app(self.reference)
        follow_environment(app)
        if not app.tasks:
            raise InvalidConfig(f"{self.reference} has no tasks: decorate a function with @app.task")
        Worker(
            app,
            self.name or self.reference.module,
            slots=self.slots,
            pools=self._slots_by_pool,
            labels=self._worker_labels,
            queues=self._queues,
            drain_grace=grace,
            processes=self.processes,
            max_tasks_per_child=self.max_tasks_per_child,
            max_memory_per_child=self.max_memory_per_child,
        ).start()

    def _run_reloading(self) -> None:
        from windlass.cli.reloading_worker import RELOAD_GRACE, ReloadingWorker
        from windlass.cli.stop_signal import stop_event
        from windlass.worker.offer import read_offer
        from windlass.worker.processes.child_limits import read_limits
        from windlass.worker.processes.crew_name import CrewName
        from windlass.worker.reloadable import ReloadableWorker

        if self.processes == 0:
            raise InvalidConfig("--reload replaces child processes: --processes from 1 on was expected with it")
        grace = RELOAD_GRACE if self.grace is None else self.grace
        end_with_parent(grace + _LEAVE_SECONDS)
        limits = read_limits(self.max_tasks_per_child, self.max_memory_per_child)
        here = str(Path.cwd())
        crew = CrewName({"sys_path": [here, *sys.path], "dir": here}, str(self.reference), traced=True)

        offer = read_offer(self.slots, self._slots_by_pool, self._worker_labels, self._queues)

        def make() -> ReloadableWorker:
            name = self.name or self.reference.module
            return ReloadableWorker(crew, name, offer, self.processes or 1, limits, grace)

        with stop_event() as stop:
            ReloadingWorker(make, Path.cwd()).run(stop)

    @property
    def _slots_by_pool(self) -> dict[str, int]:
        return {name: _count(slots, name) for name, slots in _pairs(self.pools, "--pool").items()}

    @property
    def _worker_labels(self) -> dict[str, str]:
        return _pairs(self.labels, "--label")

    @property
    def _queues(self) -> list[str]:
        return [queue for word in self.queues.split(",") if (queue := word.strip())]


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise InvalidConfig(f"{option} {word}: NAME=VALUE was expected")
        if name in pairs:
            raise InvalidConfig(f"{option} {word}: {name} stands there twice")
        pairs[name] = value
    return pairs


def _count(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidConfig(f"--pool {name}={text}: a number of slots was expected")
    return int(text)


def reference_of(words: Sequence[str]) -> tuple[AppReference, bool]:
    """Read the command's words, `[dev] [module[:app]]`: the app, and whether to reload.

    Raises:
        InvalidConfig: they name no app, or several.

    """
    reload = bool(words) and words[0] == "dev"
    rest = list(words)[reload:]
    if len(rest) > 1:
        raise InvalidConfig(f"one app at a time, not {' '.join(rest)}")
    return require_reference("".join(rest), Path.cwd()), reload
